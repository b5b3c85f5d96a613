"""The client of a marketplace, for renters, owners of machines, operators and tools: `Client`, and `AsyncClient`."""

from dc1.client.asynchronous.client import AsyncClient
from dc1.client.asynchronous.jobs import AsyncJobHandle
from dc1.client.calls import Answer, path
from dc1.client.credentials import DEFAULT_URL, Target, find_target
from dc1.client.errors import (
    ClientError,
    ConfigurationError,
    ConflictError,
    ConnectionBrokenError,
    ForbiddenError,
    GoneError,
    InsufficientBalanceError,
    InvalidRequestError,
    MissingFieldError,
    NoMarketplaceError,
    NotFoundError,
    RateLimitedError,
    RefusedError,
    UnauthorizedError,
    UnavailableError,
    UnreachableError,
    WaitTimeoutError,
)
from dc1.client.events import ChatReply, StreamedEvent
from dc1.client.synchronous.client import Client
from dc1.client.synchronous.following import follow_job_events
from dc1.client.synchronous.jobs import JobHandle

__all__ = [
    "DEFAULT_URL",
    "Answer",
    "AsyncClient",
    "AsyncJobHandle",
    "ChatReply",
    "Client",
    "ClientError",
    "ConfigurationError",
    "ConflictError",
    "ConnectionBrokenError",
    "ForbiddenError",
    "GoneError",
    "InsufficientBalanceError",
    "InvalidRequestError",
    "JobHandle",
    "MissingFieldError",
    "NoMarketplaceError",
    "NotFoundError",
    "RateLimitedError",
    "RefusedError",
    "StreamedEvent",
    "Target",
    "UnauthorizedError",
    "UnavailableError",
    "UnreachableError",
    "WaitTimeoutError",
    "find_target",
    "follow_job_events",
    "path",
]
