"""A daemon's messages, followed in the order of each job: what one job's end has to wait for holds up no other."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

import structlog

from dc1 import defaults
from dc1.containment import contained
from dc1.control.bell import Bell
from dc1.control.failures import is_told
from dc1.domain import errors
from dc1.domain.errors import ApiError
from dc1.services.api.shielding import ShieldedWork
from dc1.services.daemons.daemon_messages import DaemonMessages
from dc1.storage.engine.unwritable import unwritable_reason
from dcp.v1.daemon_stream_pb2 import ConnectRequest, Hello

_log = structlog.get_logger(__name__)

_OF_A_JOB = frozenset({"accept", "decline", "progress", "logs", "tokens", "outcome"})
_MOST_AT_ONCE = 64
"""Messages of one daemon that are followed or wait for those before them; with so many nothing more is taken of it."""


def _messages_in(message: ConnectRequest) -> Iterable[ConnectRequest]:
    """Return the messages of a bundle, or the one that is none.

    Raises:
        invalid_field: There are too many of them, or one is a bundle again.
    """
    if not message.HasField("bundle"):
        return (message,)
    found = message.bundle.messages
    if len(found) > defaults.MOST_OF_BUNDLE or any(one.HasField("bundle") for one in found):
        raise errors.invalid_field(
            "bundle", f"has at most {defaults.MOST_OF_BUNDLE} messages, and no bundle among them"
        )
    return found


class MessageFollower:
    """Follows a daemon's messages; one that fails by a mistake of ours is passed over.

    Ended by it the stream would come back with the same, and the daemon's other runs would not be heard. What was
    missed is in the next beat, or comes again for want of a receipt. What was begun is followed to its end also when
    the stream breaks: its transaction commits whoever waits.
    """

    def __init__(self, messages: DaemonMessages, provider_id: int, end: Callable[[], None]) -> None:
        """`end` ends the stream, for the `failure` that is set by then."""
        self._messages = messages
        self._provider_id = provider_id
        self._end = end
        self._passed_over = 0
        self._work = ShieldedWork()
        self._tasks: set[asyncio.Task[None]] = set()
        self._lines: dict[str, deque[ConnectRequest]] = {}
        """What is followed and what waits behind it, of each job that has anything."""
        self._under_way = 0
        self._was_followed = Bell()
        self.failure: Exception | None = None

    async def begin_at_once(self, hello: Hello) -> bool:
        """Take the state with which the stream opens, if that waits for nothing; False where it has to be begun.

        The welcome is on its way by then, without a task and the turns of the loop that one takes.
        """
        if self._messages.hello_waits(hello.state):
            return False
        try:
            await self._messages.hello(hello)
        except Exception as failure:  # the stream ends by it, and says why
            self.failure = failure
            self._end()
        return True

    async def begin(self, hello: Hello) -> None:
        """Take the state with which the stream opens."""
        await self._work.run(self._messages.hello(hello))

    async def take(self, message: ConnectRequest) -> None:
        """Follow a message, or begin to; what has to be known before the next one is known when this returns."""
        self._messages.count(message)
        for one in _messages_in(message):
            await self._take(one)

    async def _take(self, message: ConnectRequest) -> None:
        kind = message.WhichOneof("message") or ""
        if kind not in _OF_A_JOB:
            # The whole state of the daemon, which has to find ours as what it said before has left it.
            await self._idle()
            if kind == "beat" and self._messages.is_in_step(message.beat.state):
                # Waits for nothing, so that nothing of it can be cut off.
                await self._follow(message)
            else:
                await self._work.run(self._follow(message))
            return
        job_id: str = getattr(message, kind).lease.job_id
        if kind == "tokens" and job_id not in self._lines:
            # Waits for nothing, and comes most often.
            await self._follow(message)
            return
        while self._under_way >= _MOST_AT_ONCE:
            await self._was_followed.rung()
        self._under_way += 1
        # In a line and not each in a task that waits for the one before: tokens come faster than such tasks have their
        # turns, so that a call would never be without one again.
        if (line := self._lines.get(job_id)) is not None:
            line.append(message)
            return
        self._lines[job_id] = deque([message])
        task = asyncio.create_task(self._follow_line(job_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _idle(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _follow_line(self, job_id: str) -> None:
        line = self._lines[job_id]
        while line:
            try:
                await self._follow(line[0])
            except Exception as failure:  # the stream ends by it, and says why
                self.failure = self.failure or failure
                self._end()
            finally:
                line.popleft()
                self._under_way -= 1
                self._was_followed.ring()
        del self._lines[job_id]

    async def _follow(self, message: ConnectRequest) -> None:
        try:
            with contained():
                await self._messages.take(message)
        except ApiError:
            raise
        except Exception as failure:
            # Without its database a server has nothing to say to a daemon, which may find another one.
            if unwritable_reason(failure) is not None:
                raise
            self._passed_over += 1
            # It may go on with every beat.
            if is_told(self._passed_over):
                kind, times = message.WhichOneof("message"), self._passed_over
                _log.exception("message_not_followed", provider_id=self._provider_id, message=kind, times=times)
