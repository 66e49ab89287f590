"""Qdrant Edge, the Qdrant engine in this process, behind the calls that the adapter makes of a Qdrant client."""
