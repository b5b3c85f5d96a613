"""Lists that are read page by page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

from dcp.v1.pagination_pb2 import Pagination

T = TypeVar("T")


class _SliceRequest(Protocol):
    @property
    def limit(self) -> int: ...
    @property
    def offset(self) -> int: ...


def sliced(items: Sequence[T], request: _SliceRequest) -> Sequence[T]:
    """Return what a request asks for of a list that is given whole where it says nothing."""
    rest = items[request.offset :]
    # A scalar of proto3 that was not sent is 0, and 0 is refused.
    return rest[: request.limit] if request.limit else rest


class _PageRequest(Protocol):
    @property
    def page(self) -> int: ...
    @property
    def limit(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Pages:
    """Which page of a list is asked for, from 1, and how many entries a page has."""

    page: int
    limit: int

    @classmethod
    def asked(cls, request: _PageRequest, *, usual: int = 50, most: int = 200) -> Self:
        """Return what a request asks for; a limit above `most` is lowered to it."""
        # Lowered and not refused (contract 1.4). A scalar of proto3 that was not sent is 0.
        return cls(request.page or 1, min(request.limit or usual, most))

    @property
    def offset(self) -> int:
        """How many entries come before the page."""
        return (self.page - 1) * self.limit

    def of(self, total: int) -> Pagination:
        """Return where the page stands in a list of `total` entries."""
        return Pagination(page=self.page, limit=self.limit, total=total, pages=math.ceil(total / self.limit))
