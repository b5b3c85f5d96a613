"""What is asked of the other servers on the same database, whether there are any or not."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Protocol

from dc1.control.fleet.provider import Provider
from dc1.control.scheduling.job_feed import TokenChunk
from dc1.domain.access.call_use import CallUse
from dc1.domain.inference.usage import RunSaid


class Replicas(Protocol):
    """The other servers, as this one knows them."""

    @property
    def others(self) -> Collection[str]:
        """Names of the other replicas that live."""
        ...

    @property
    def lag_seconds(self) -> float | None:
        """How old what this server knows of the others may be; None where there can be none."""
        ...

    async def start(self) -> None:
        """Join them; called before anything is loaded, so that nothing is missed after it."""
        ...

    async def run(self) -> None:
        """Tell and follow until cancelled."""
        ...

    async def catch_up(self) -> bool:
        """Follow everything that was committed before this call.

        False when nobody else could have committed anything.
        """
        ...

    async def take_over(self, provider_id: int) -> None:
        """Know every job of a machine that another server serves, or did until now."""
        ...

    async def said(self, *row_ids: int, of_all_calls: bool = False) -> Mapping[int, RunSaid]:
        """Return what runs have said at other servers; nothing of those whose answers pass through this one.

        Their starts are stored by then. With `of_all_calls` service_unavailable is raised where a server that lives
        does not say it of a call, which is paid by that.
        """
        ...

    def store_by(self, store: Callable[..., Awaitable[object]]) -> None:
        """Have the starts of runs that another server asks for stored by `store`."""
        ...

    def jobs_elsewhere(self, provider_id: int | None = None) -> tuple[int, int]:
        """Return how many jobs that are not known here are offered and run, on one machine or on all."""
        ...

    def busy_elsewhere(self) -> int:
        """Return on how many machines such jobs run."""
        ...

    def share_tokens(self, row_id: int, tokens: TokenChunk) -> None:
        """Show generated text to readers on other replicas too."""
        ...

    def share_use(self, use: CallUse) -> None:
        """Tell what a caller used of its limits under /v1."""
        ...

    def hear_uses(self, heard: Callable[[CallUse], None]) -> None:
        """Call `heard` with what callers used at other servers."""
        ...

    def hear_of_room(self, waits: Callable[[], bool]) -> None:
        """Be told of room at other servers while `waits` says that calls wait for it here."""
        ...

    def want_room(self) -> None:
        """Say that a call begins to wait for room."""
        ...

    async def confirm_lost(self, providers: Collection[Provider]) -> None:
        """Wait on for those of the providers that somebody else has heard of."""
        ...

    def stream_opened(self, provider_id: int, instance: str) -> None:
        """Tell that this server holds a provider's stream, opened by that daemon process."""
        ...

    def stream_closed(self, provider_id: int, lost_ms: int) -> None:
        """Tell that the stream ended."""
        ...


class NoReplicas:
    """A server that has its database to itself: nobody to tell, nobody to hear from."""

    others: Collection[str] = ()
    lag_seconds: float | None = None

    async def start(self) -> None:
        """Join nobody."""

    async def run(self) -> None:
        """Return at once: there is nothing to follow."""

    async def catch_up(self) -> bool:
        """Return False: memory knows all that was committed."""
        return False

    async def take_over(self, provider_id: int) -> None:
        """Know them: nobody else serves a machine."""

    async def said(self, *row_ids: int, of_all_calls: bool = False) -> Mapping[int, RunSaid]:
        """Return nothing: all that runs say is said here."""
        return {}

    def store_by(self, store: Callable[..., Awaitable[object]]) -> None:
        """Be asked by nobody."""

    def jobs_elsewhere(self, provider_id: int | None = None) -> tuple[int, int]:
        """Return none."""
        return 0, 0

    def busy_elsewhere(self) -> int:
        """Return none."""
        return 0

    def share_tokens(self, row_id: int, tokens: TokenChunk) -> None:
        """Leave it at the readers here."""

    def share_use(self, use: CallUse) -> None:
        """Tell nobody."""

    def hear_uses(self, heard: Callable[[CallUse], None]) -> None:
        """Hear of nothing."""

    def hear_of_room(self, waits: Callable[[], bool]) -> None:
        """Hear of nothing."""

    def want_room(self) -> None:
        """Tell nobody."""

    async def confirm_lost(self, providers: Collection[Provider]) -> None:
        """Let them be lost: their daemons could have spoken to nobody else."""

    def stream_opened(self, provider_id: int, instance: str) -> None:
        """Tell nobody."""

    def stream_closed(self, provider_id: int, lost_ms: int) -> None:
        """Tell nobody."""
