"""Loads files and databases into a space; an interrupted load can be resumed."""
