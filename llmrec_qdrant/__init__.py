"""Turns a Qdrant you already run into a recommender that knows each user's interests by topic."""

from llmrec_qdrant.aio import AsyncRecommender
from llmrec_qdrant.contracts import (
    Event,
    Item,
    Receipt,
    Recommendation,
    SimilarUser,
    SpaceConfig,
    SpaceStatus,
)
from llmrec_qdrant.errors import (
    BrokerUnavailable,
    InvalidFilter,
    InvalidInput,
    LlmrecError,
    MissingDependency,
    NotFound,
    PartlyRejected,
    QdrantRefused,
    QdrantUnavailable,
    ServerTooOld,
    ServiceError,
    SpaceError,
    SpaceMismatch,
    SpaceNotFound,
    Unauthorized,
    WorkPending,
    WorkPendingWarning,
)
from llmrec_qdrant.recommender import Recommender

__all__ = [
    "AsyncRecommender",
    "BrokerUnavailable",
    "Event",
    "InvalidFilter",
    "InvalidInput",
    "Item",
    "LlmrecError",
    "MissingDependency",
    "NotFound",
    "PartlyRejected",
    "QdrantRefused",
    "QdrantUnavailable",
    "Receipt",
    "Recommendation",
    "Recommender",
    "ServerTooOld",
    "ServiceError",
    "SimilarUser",
    "SpaceConfig",
    "SpaceError",
    "SpaceMismatch",
    "SpaceNotFound",
    "SpaceStatus",
    "Unauthorized",
    "WorkPending",
    "WorkPendingWarning",
]

__version__ = "0.1.0"
