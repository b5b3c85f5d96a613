"""Which containers on an engine are this daemon's, and which of them have no run any more."""

import asyncio
import contextlib
import logging
import uuid
from collections import Counter
from typing import Any

from docker.errors import APIError, NotFound

from dc1.daemon.runners.base import Work
from dc1.daemon.runners.container.engine import ENGINE_ERRORS, require_listener
from dc1.daemon.runners.container.guard import LABEL_GUARD
from dc1.daemon.runners.container.options import LABEL_ATTEMPT, LABEL_DAEMON, LABEL_JOB, LABEL_OWNER

log = logging.getLogger(__name__)


class Ownership:
    """Knows the provider's containers by their labels, and which attempts are at work here."""

    def __init__(self) -> None:
        """Own nothing yet."""
        self.owner = ""
        """For whom containers run: the market and the provider's id; empty until the server has said it."""
        self.daemon = uuid.uuid4().hex
        # Counted, not named by container: one that the engine is still creating has no name here.
        self._at_work: Counter[tuple[str, str]] = Counter()

    def begin(self, work: Work) -> None:
        """Note that an attempt is at work: containers with its labels are wanted."""
        self._at_work[_attempt(work)] += 1

    def end(self, work: Work) -> None:
        """Note that an attempt is over: what it left is to be removed."""
        self._at_work[_attempt(work)] -= 1
        self._at_work += Counter()

    async def reap(self, client: Any) -> bool:
        """Remove the provider's containers that belong to no run of this daemon, and tell whether all are gone.

        An earlier daemon that was killed left some, and so does an engine that was away when a run ended.
        """
        if not self.owner:
            return True
        own = {"label": f"{LABEL_OWNER}={self.owner}"}
        await asyncio.to_thread(require_listener, client)
        # Not asked for one by one, which fails when one goes meanwhile, and with Podman not as what is not found.
        found = await asyncio.to_thread(client.containers.list, all=True, filters=own, sparse=True)
        leftovers = [container for container in found if not self._is_wanted(_labels(container))]
        if leftovers:
            jobs = ", ".join(sorted(_labels(container).get(LABEL_JOB, "?") for container in leftovers))
            log.warning("containers that belong to no run are removed: %s", jobs)
        # An engine does not remove a guard before the containers that share its network.
        leftovers.sort(key=lambda container: LABEL_GUARD in _labels(container))
        # One that resists keeps nobody from working, and is tried again with the next look.
        return all([await try_to_remove(container) for container in leftovers])

    def _is_wanted(self, labels: dict[str, str]) -> bool:
        attempt = labels.get(LABEL_JOB, ""), labels.get(LABEL_ATTEMPT, "")
        return labels.get(LABEL_DAEMON) == self.daemon and self._at_work[attempt] > 0


def _labels(container: Any) -> dict[str, str]:
    return container.attrs.get("Labels") or {}


def _attempt(work: Work) -> tuple[str, str]:
    return work.job_id, str(work.attempt)


async def try_to_remove(container: Any) -> bool:
    """Remove a container, in whatever state it is; False when it is still there."""
    try:
        await asyncio.to_thread(remove, container)
    except ENGINE_ERRORS as error:
        log.warning("container %s could not be removed: %s", container.id, error)
        return False
    except Exception:  # an engine may answer anything, and what it did not remove is reaped later
        log.exception("container %s could not be removed", container.id)
        return False
    return True


def remove(container: Any) -> None:
    """Kill and remove a container. Blocks."""
    require_listener(container.client)
    with contextlib.suppress(NotFound):
        # Podman's forced removal would wait ten seconds for a polite end first.
        with contextlib.suppress(APIError):
            container.kill()
        container.remove(force=True, v=True)
