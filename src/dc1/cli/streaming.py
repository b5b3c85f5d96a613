"""Following a job live."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from httpx_sse import EventSource, ServerSentEvent

from dc1.cli.client import ConnectionBrokenError, RestClient, UnreachableError, path
from dc1.cli.errors import RefusedError

_FAILURES = 10
_UNAVAILABLE = 503
_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class StreamedEvent:
    """Something a job's log stream said.

    Attributes:
        kind: `log` for a stored line, `token` for generated text, `end` for the last event.
        data: the event's JSON object.
    """

    kind: str
    data: dict[str, Any]

    @property
    def json(self) -> str:
        """The event as one line of JSON."""
        return json.dumps({"event": self.kind, **self.data}, ensure_ascii=False)


def follow_job_events(
    client: RestClient, job_id: str, *, since: int = 0, tokens: bool = False
) -> Iterator[StreamedEvent]:
    """Yield what the job says until its end.

    A broken connection is opened anew behind the last line seen, so that no line is missed or repeated; generated text
    that passed in between is not repeated by the server. When not even the first connection came about, that is an
    UnreachableError at once.

    Args:
        client: a client that may read the job.
        job_id: row id or public id.
        since: only lines with a greater number.
        tokens: whether generated text is wanted as it comes.

    Yields:
        Stored lines and generated text, at last the end.

    Raises:
        ConnectionBrokenError: the connection broke ten times in a row.
        RefusedError: the job may not be read.
    """
    query: dict[str, str | int] = {"since": since, **({"tokens": "true"} if tokens else {})}
    last_id: str | None = None
    failures = 0
    reached = False
    while failures < _FAILURES:
        failures += 1
        try:
            with client.stream(path("jobs", job_id, "logs", "stream"), query=query, last_event_id=last_id) as response:
                reached = True
                for frame in EventSource(response).iter_sse():
                    # Generated text is not stored and has no id.
                    last_id = frame.id or last_id
                    event = _decode(frame)
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
            if refusal.status != _UNAVAILABLE:
                raise
        time.sleep(_PAUSE_SECONDS)
    raise ConnectionBrokenError(f"The log stream of {job_id} broke {_FAILURES} times in a row before the job ended.")


def _decode(frame: ServerSentEvent) -> StreamedEvent | None:
    if not frame.data:
        return None
    data = json.loads(frame.data)
    if not isinstance(data, dict):
        return None
    return StreamedEvent(frame.event if frame.event in {"token", "end"} else "log", data)
