"""What the end of a container, or an engine's refusal, means for its job."""

import asyncio
import re
from datetime import datetime
from typing import Any

from docker.errors import APIError

from dc1.daemon.runners.base import RunFailed
from dc1.daemon.runners.container.engine import ENGINE_ERRORS
from dc1.daemon.runners.container.output import ContainerOutput
from dc1.domain.jobs.states import ErrorCategory

_SIGNALLED = 128
"""A status above it is that of a program that a signal ended, or says so."""

_SIGKILL_STATUS = 137
# What a shell ends with when there is no such command.
_NOT_FOUND_STATUS = 127
_NO_SUCH_COMMAND = re.compile(
    r"\bexec:? (?!.*\bhook).*(not found in \$PATH|no such file or directory|permission denied)|executable file .* not found",
    re.IGNORECASE,
)
# What the daemon does itself only once this has been asked.
_BY_HAND = frozenset({"kill", "stop", "restart", "remove", "destroy"})
_DIED = frozenset({"die", "died"})
_GRACE_SECONDS = 30
"""How long before its end a program was told to end at the earliest; what it outlived by more has not ended it."""

_LATE_SECONDS = 3
"""How much later than the end an engine may write down that somebody asked for it: Podman does once that is done."""

_CAUGHT_SECONDS = 2
"""The same for a signal that the program caught: it is written down at once, and times are whole seconds."""

_EVENT_SECONDS = 10.0


def refused(refusal: APIError) -> RunFailed:
    """Return what a refusal of the engine comes to; a command that the image has not is the order's mistake."""
    # Engines have no code for that, and say it in the words of the runtime beneath: at the start, or at once.
    if _NO_SUCH_COMMAND.search(str(refusal.explanation)) is not None:
        text = f"the command cannot be run: {refusal.explanation}"
        return RunFailed(ErrorCategory.INVALID_PARAMS, text, exit_code=_NOT_FOUND_STATUS)
    text = f"the container engine refused: {refusal.explanation}"
    return RunFailed(ErrorCategory.CREATE, text, transient=refusal.is_server_error())


async def failure_of(
    client: Any, container: Any, status: int, output: ContainerOutput, *, memory_kill: bool, killed: bool
) -> RunFailed | None:
    """Return why a program failed; None when it ended with status 0, and because it was done.

    `memory_kill` is whether the kernel has just killed something on this machine for want of memory, and `killed`
    whether it says that SIGKILL ended the program. Of want of memory is spoken only by evidence: a program may end with
    137 by its own wish, and an owner may kill its container. That too is believed of the records of kernel and engine
    alone, which no program can write to, and of no status.
    """
    state = container.attrs["State"]
    if status != 0 and (state.get("OOMKilled") or (status == _SIGKILL_STATUS and memory_kill)):
        return RunFailed(ErrorCategory.OOM, "killed for using more memory than its limit", exit_code=status)
    if killed or await _was_ended_by_hand(client, container.id, state, status):
        text = "the container was stopped on the provider's machine"
        return RunFailed(ErrorCategory.ENGINE, text, transient=True)
    if status == 0:
        return None
    last_words = f": {output.last_words}" if output.last_words else ""
    return RunFailed(ErrorCategory.EXECUTION, f"exited with status {status}{last_words}", exit_code=status)


async def _was_ended_by_hand(client: Any, container_id: str, state: dict[str, Any], status: int) -> bool:
    """Ask the engine whether somebody but this daemon, which does so later, ended a container."""
    try:
        async with asyncio.timeout(_EVENT_SECONDS):
            return await asyncio.to_thread(_asks_for_end, client, container_id, state, status)
    except (TimeoutError, ValueError, TypeError, AttributeError, *ENGINE_ERRORS):
        return False  # an engine that keeps no record of it


def _asks_for_end(client: Any, container_id: str, state: dict[str, Any], status: int) -> bool:
    # Between times of the engine's own, whose clock may differ: to a time that is ahead it makes us wait.
    ended = _seconds(state["FinishedAt"])
    since = max(_seconds(state["StartedAt"]), ended - _GRACE_SECONDS)
    until = ended + (_LATE_SECONDS if status > _SIGNALLED else _CAUGHT_SECONDS)
    events = client.events(since=since, until=until, filters={"container": container_id}, decode=True)
    try:
        for event in events:
            if event.get("Action") in _BY_HAND:
                return True
            # One that ended in good order caught a signal, which stands before its end: it is not made to wait.
            if status == 0 and event.get("Action") in _DIED:
                return False
        return False
    finally:
        events.close()


def _seconds(said: str) -> int:
    # To whole seconds: engines print nanoseconds, of which Python reads six digits.
    return int(datetime.fromisoformat(f"{said[:19]}+00:00").timestamp())
