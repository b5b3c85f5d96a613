"""Which objects make up the server: the one place where services and control are put together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from google.protobuf.descriptor import ServiceDescriptor

from dc1.control.operations.credentials import Credentials
from dc1.domain.base.clock import Clock
from dc1.services.api.call import Hooks
from dc1.settings import Settings
from dc1.storage.engine.database import Database


class Background(Protocol):
    """Something that lives as long as the server."""

    async def start(self) -> None:
        """Load what it needs and begin; no call is accepted before every start has returned."""
        ...

    async def stop(self) -> None:
        """End its tasks and write what is unwritten."""
        ...


@dataclass(frozen=True, slots=True)
class Service:
    """A servicer, how the generated code adds it to a server, and the descriptor of its service."""

    descriptor: ServiceDescriptor
    add: Callable[[Any, Any], None]
    servicer: object


@dataclass(frozen=True, slots=True)
class Foundation:
    """What everything is built on."""

    settings: Settings
    clock: Clock
    database: Database
    credentials: Credentials


async def _never() -> None:
    await asyncio.Event().wait()


@dataclass(frozen=True, slots=True)
class Assembly:
    """The parts of a server.

    Background parts start in order and stop in reverse. `drain` tells streams to reconnect, and `ended` waits until a
    background part ends by itself, which none should.
    """

    services: Sequence[Service]
    hooks: Hooks = field(default_factory=Hooks)
    background: Sequence[Background] = ()
    drain: Callable[[], None] = lambda: None
    ended: Callable[[], Awaitable[None]] = _never
