"""Refusals counted by method and reason since the server started, for operators to see."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

UNKNOWN_METHOD = "unknown"
"""Stands for every method that there is not: their names are for callers to make up."""


class RefusalReason(StrEnum):
    """Why a call was refused, as far as its status tells. Few, since each is a number of its own for every method."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    UNPAID = "unpaid"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    TOO_LARGE = "too_large"
    RATE_LIMITED = "rate_limited"
    CLIENT_GONE = "client_gone"
    FAILED = "failed"
    UNAVAILABLE = "unavailable"
    TIMED_OUT = "timed_out"


_OF_STATUS = {
    400: RefusalReason.INVALID,
    401: RefusalReason.UNAUTHENTICATED,
    402: RefusalReason.UNPAID,
    403: RefusalReason.FORBIDDEN,
    404: RefusalReason.NOT_FOUND,
    405: RefusalReason.NOT_FOUND,
    409: RefusalReason.CONFLICT,
    410: RefusalReason.CONFLICT,
    413: RefusalReason.TOO_LARGE,
    429: RefusalReason.RATE_LIMITED,
    499: RefusalReason.CLIENT_GONE,
    503: RefusalReason.UNAVAILABLE,
    504: RefusalReason.TIMED_OUT,
}


def reason_of(status: int) -> RefusalReason:
    """Return what an HTTP status from 400 on says of a refusal."""
    return _OF_STATUS.get(status, RefusalReason.INVALID if status < 500 else RefusalReason.FAILED)


def status_of(reason: RefusalReason) -> int:
    """Return the HTTP status that most calls refused for this reason have."""
    return next((status for status, each in _OF_STATUS.items() if each is reason), 500)


def short_name(method: str) -> str:
    """Return `Service/Method` for `/package.Service/Method`, and what is none of these as it is."""
    package_and_service, _, name = method.removeprefix("/").rpartition("/")
    service = package_and_service.rpartition(".")[2]
    return f"{service}/{name}" if service else name


@dataclass(frozen=True, slots=True)
class RefusalCount:
    """How often calls of one method were refused for one reason; `method` is `Service/Method`."""

    method: str
    reason: RefusalReason
    count: int


class RefusalCounts:
    """Counts by method and reason: methods are those of the protos, so that no caller can add a number."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, RefusalReason]] = Counter()

    def add(self, method: str, reason: RefusalReason) -> None:
        """Count a refused call of `/package.Service/Method`, which has to be one that there is."""
        self._counts[short_name(method), reason] += 1

    def __iter__(self) -> Iterator[RefusalCount]:
        """Yield the counts by method, then by reason."""
        for (method, reason), count in sorted(self._counts.items()):
            yield RefusalCount(method, reason, count)
