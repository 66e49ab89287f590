"""The queue to the workers: Celery, inline, or none."""
