"""The methods of a recommender as generators of steps; the drivers in :mod:`.steps` run them."""

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
