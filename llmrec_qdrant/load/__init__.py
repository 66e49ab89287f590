"""Files and databases → items and events, resumable."""
