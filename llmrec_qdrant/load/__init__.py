"""Files and databases → items and events of a space, resumable after an interruption."""
