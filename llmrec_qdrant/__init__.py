"""Turns a Qdrant you already run into a recommender that knows each user's interests by topic."""

from llmrec_qdrant.aio import AsyncRecommender
from llmrec_qdrant.contracts.answers import (
    Failure,
    Interest,
    Moved,
    PartlyRejected,
    Receipt,
    Recommendation,
    Rejected,
    Shelf,
    SimilarUser,
    SpaceStatus,
    Topic,
    Words,
)
from llmrec_qdrant.contracts.config import SpaceConfig
from llmrec_qdrant.contracts.entities import Event, Item
from llmrec_qdrant.contracts.evidence import Evidence, WhyNot
from llmrec_qdrant.contracts.jobs import JobStatus
from llmrec_qdrant.errors import (
    BrokerUnavailable,
    FieldWarning,
    InvalidFilter,
    InvalidInput,
    JobFailed,
    LlmrecError,
    MissingDependency,
    NotFound,
    QdrantRefused,
    QdrantUnavailable,
    ServerTooOld,
    ServiceError,
    SpaceError,
    SpaceIncomplete,
    SpaceMismatch,
    SpaceNotFound,
    Unauthorized,
    WorkPending,
    WorkPendingWarning,
)
from llmrec_qdrant.operations.handles import AsyncJob, Job
from llmrec_qdrant.recommender import Recommender

__all__ = [
    "AsyncJob",
    "AsyncRecommender",
    "BrokerUnavailable",
    "Event",
    "Evidence",
    "Failure",
    "FieldWarning",
    "Interest",
    "InvalidFilter",
    "InvalidInput",
    "Item",
    "Job",
    "JobFailed",
    "JobStatus",
    "LlmrecError",
    "MissingDependency",
    "Moved",
    "NotFound",
    "PartlyRejected",
    "QdrantRefused",
    "QdrantUnavailable",
    "Receipt",
    "Recommendation",
    "Recommender",
    "Rejected",
    "ServerTooOld",
    "ServiceError",
    "Shelf",
    "SimilarUser",
    "SpaceConfig",
    "SpaceError",
    "SpaceIncomplete",
    "SpaceMismatch",
    "SpaceNotFound",
    "SpaceStatus",
    "Topic",
    "Unauthorized",
    "WhyNot",
    "Words",
    "WorkPending",
    "WorkPendingWarning",
]


__version__ = "0.1.0"
