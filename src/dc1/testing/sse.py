"""Server-sent events as a browser would read them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from dc1.testing.rest import Json, Rest


@dataclass(frozen=True)
class Event:
    """One frame; `name` is empty for one without an event name."""

    id: str
    name: str
    data: Json


class Events:
    """An open stream. Iterating it waits for the next event; it ends where the server ends it."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.retry: list[str] = []
        self._frames = self._read()

    def __iter__(self) -> Iterator[Event]:
        return self._frames

    def next(self) -> Event:
        """Wait for the next event and return it."""
        return next(self._frames)

    def _read(self) -> Iterator[Event]:
        frame: dict[str, str] = {}
        for line in self.response.iter_lines():
            name, _, value = line.partition(": ")
            # A comment, which keeps the connection alive (contract 6.1) and belongs to no frame.
            if line.startswith(":"):
                continue
            if name == "retry":
                self.retry.append(value)
            elif line:
                frame[name] = value
            elif frame:
                yield Event(frame.get("id", ""), frame.get("event", ""), json.loads(frame["data"]))
                frame = {}


@contextmanager
def events(rest: Rest, path: str, **call: Any) -> Iterator[Events]:
    """Open a stream of events, whose answer must be one."""
    with rest.stream(path, **call) as response:
        if response.status_code != 200:
            # Read first: the body of a stream is not there yet, and its text is the reason.
            response.read()
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "text/event-stream"
        yield Events(response)
