"""What a list tells of each machine, and whether any of it has changed."""

from collections.abc import Callable
from typing import Generic, TypeVar

from dc1.control.control_plane import ControlPlane
from dc1.control.fleet.provider import Provider

F = TypeVar("F")


class MachineFacts(Generic[F]):
    """Facts by provider. `version` grows with each change of them, and with nothing else.

    A beat changes nothing of them as a rule, and there are a hundred a second of a thousand machines: whose machine was
    heard since the last look is looked at, and nobody else.
    """

    def __init__(self, plane: ControlPlane, facts: Callable[[Provider], F | None]) -> None:
        """`facts` are None of a machine that the list leaves out."""
        self._plane = plane
        self._facts = facts
        self._moment = -1
        self._known: dict[int, F] = {}
        self._version = 0

    @property
    def version(self) -> int:
        """Which version the facts are now."""
        fleet = self._plane.fleet
        # Silence changes machines too, and schedules do.
        fleet.presence.age()
        changes = fleet.availability.changes
        if changes.moment != self._moment:
            changed = [self._follow(provider_id) for provider_id in changes.since(self._moment)]
            self._moment = changes.moment
            self._version += any(changed)
        return self._version

    def look_again(self) -> None:
        """Look at every machine next time: something changed that is in the facts of all."""
        self._moment = -1

    def get(self, provider_id: int) -> F | None:
        """Return the facts of a provider, as the last look at the version found them."""
        return self._known.get(provider_id)

    def _follow(self, provider_id: int) -> bool:
        """Look at a provider anew, and tell whether anybody could see that."""
        before, provider = self._known.pop(provider_id, None), self._plane.fleet.get(provider_id)
        now = None if provider is None else self._facts(provider)
        if now is not None:
            self._known[provider_id] = now
        return now != before
