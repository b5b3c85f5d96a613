"""Following a job live."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from dc1.client.asynchronous.transport import AsyncTransport
from dc1.client.calls import HttpCall, path
from dc1.client.errors import ConnectionBrokenError, RefusedError, UnreachableError
from dc1.client.events import StreamedEvent, job_event
from dc1.client.retries import TROUBLE

_FAILURES = 10
# Longer each time: ten of them are a minute, in which a busy machine has its server started anew.
_PAUSE_SECONDS = 1.0
_PAUSE_GROWTH = 1.5
_LONGEST_PAUSE_SECONDS = 10.0
# A connection that held for so long did not fail: the server spoke, or it would have been given up after 55 s. A proxy
# may end each after minutes, and a job say nothing for hours.
_STEADY_SECONDS = 60.0


async def follow_job_events(
    transport: AsyncTransport, job_id: str, *, since: int = 0, tokens: bool = False
) -> AsyncIterator[StreamedEvent]:
    """Yield what the job says until its end.

    A broken connection is opened anew behind the last line seen, so that no line is missed or repeated; generated text
    that passed in between is not repeated by the server. When nothing has ever answered there, that is an
    UnreachableError at once.

    Args:
        transport: connections with a key that may read the job.
        job_id: row id or public id.
        since: only lines with a greater number.
        tokens: whether generated text is wanted as it comes.

    Yields:
        Stored lines and generated text, at last the end.

    Raises:
        ConnectionBrokenError: the connection broke ten times in a row.
        RefusedError: the job may not be read.
    """
    query = {"since": since, **({"tokens": "true"} if tokens else {})}
    last_id: str | None = None
    failures = 0
    reached = transport.is_known
    while failures < _FAILURES:
        failures += 1
        resumed = {} if last_id is None else {"last-event-id": last_id}
        began_at = time.monotonic()
        where = path("jobs", job_id, "logs", "stream")
        # Tried once, as it is tried again here.
        call = HttpCall("GET", where, query, headers=resumed, timeout_seconds=0.0)
        try:
            async with transport.events(call) as frames:
                reached = True
                async for frame in frames:
                    # Generated text is not stored and has no id.
                    last_id = frame.id or last_id
                    event = job_event(frame)
                    if event is None:
                        continue
                    failures = 0
                    yield event
                    if event.kind == "end":
                        return
        except ConnectionBrokenError as broken:
            # Who mistyped the address should not wait for ten attempts.
            if isinstance(broken, UnreachableError) and not reached:
                raise
        except RefusedError as refusal:
            # A server that drains refuses so, and its successor knows the job.
            if refusal.status not in TROUBLE:
                raise
        if time.monotonic() - began_at > _STEADY_SECONDS:
            failures = 0
        await asyncio.sleep(min(_PAUSE_SECONDS * _PAUSE_GROWTH ** max(0, failures - 1), _LONGEST_PAUSE_SECONDS))
    raise ConnectionBrokenError(f"The log stream of {job_id} broke {_FAILURES} times in a row before the job ended.")
