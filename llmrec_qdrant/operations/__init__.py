"""What each method of a recommender does, step by step; drivers in :mod:`.steps` carry the steps out."""

from llmrec_qdrant.operations import (
    events,
    failures,
    interests,
    items,
    jobs,
    recommend,
    reembed,
    search,
    shelves,
    similar,
    spaces,
    status,
    steering,
    top,
    topics,
    versions,
)

__all__ = [
    "events",
    "failures",
    "interests",
    "items",
    "jobs",
    "recommend",
    "reembed",
    "search",
    "shelves",
    "similar",
    "spaces",
    "status",
    "steering",
    "top",
    "topics",
    "versions",
]
