"""From options to Qdrant queries, and from points to answers. Pure: no I/O."""
