"""Ports to the workers: Celery, inline, or none."""
