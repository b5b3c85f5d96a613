"""A container engine under a market of the storm: Podman's service, which is restarted while jobs run on it."""

import contextlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest

from dc1.daemon.runners.container.engine import ENGINE_ERRORS, NoEngineError, connect_engine
from dc1.daemon.runners.container.options import LABEL_JOB
from dc1.testing.waiting import eventually
from tests.chaos.faults import Fault, let_pass
from tests.daemon.runners.podman import IMAGE, Service, short_directory, start_service

RESTARTED = "container engine restarted"
_AWAY_SECONDS = (0.0, 3.0)
_AT_WORK_SECONDS = 20
"""For so long a strike waits for a container: an engine that is slow by itself is restarted all the same."""


class EngineSeat:
    """The engine on which every daemon of a world runs containers."""

    image = IMAGE

    def __init__(self, service: Service) -> None:
        self._service = service
        self.url = service.base_url

    def faults(self) -> list[Fault]:
        """Return what strikes it."""
        return [Fault(RESTARTED, 2, self._restart)]

    def is_clear(self) -> bool:
        """Tell whether it has no container any more."""
        try:
            return not self._containers()
        except (NoEngineError, *ENGINE_ERRORS):
            return False

    def _containers(self) -> list[Any]:
        # As the list has them: any may go meanwhile.
        with contextlib.closing(connect_engine(self.url)) as client:
            return list(client.api.containers(all=True))

    def clear(self) -> None:
        """Remove what a storm that ended badly has left."""
        with contextlib.closing(connect_engine(self.url)) as client:
            for container in client.containers.list(all=True, sparse=True):
                container.remove(force=True)

    def _restart(self, dice: Random) -> None:
        """It ends while a job runs on it, as with an update or by a crash, and is back a moment later."""
        with contextlib.suppress(AssertionError):
            eventually(self._is_at_work, "a container being at work", _AT_WORK_SECONDS)
        if dice.random() < 0.5:
            self._service.kill()
        else:
            self._service.stop()
        let_pass(dice.uniform(*_AWAY_SECONDS))
        self._service.start()

    def _is_at_work(self) -> bool:
        try:
            found = self._containers()
        except (NoEngineError, *ENGINE_ERRORS):
            return False
        return any(LABEL_JOB in (each["Labels"] or {}) and each["State"] == "running" for each in found)


@contextmanager
def engine_if_there_is_one() -> Iterator[EngineSeat | None]:
    """Run one for the block; where that cannot be had, say why."""
    with short_directory() as directory:
        service = Service(directory)
        try:
            start_service(service)
        except pytest.skip.Exception as lack:
            print(f"no containers in this storm: {lack}", file=sys.stderr, flush=True)
            yield None
            return
        seat = EngineSeat(service)
        try:
            yield seat
        finally:
            with contextlib.suppress(NoEngineError, *ENGINE_ERRORS):
                seat.clear()
            service.stop()
