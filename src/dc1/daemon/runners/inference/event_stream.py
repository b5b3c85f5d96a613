"""The answer of an engine, read as server-sent events: bytes in any pieces become JSON objects."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp

from dc1.daemon.runners.base import RunFailed
from dc1.daemon.runners.inference.refusals import error_text, failure_in_answer
from dc1.domain.base.json_types import compact
from dc1.domain.jobs.states import ErrorCategory

# An engine may send without an end, and its daemon holds the jobs of others too. A tool's arguments or a list of
# logprobs make a line of megabytes.
MOST_EVENT_BYTES = 8 * 1024 * 1024
TOO_MUCH = "the engine sent more than an answer can be"
MOST_ANSWER_BYTES = 64 * 1024 * 1024
_REST_SECONDS = 0.02
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# What JSON has no word for and engines write all the same: the logarithm of a token that could not be.
_CONSTANTS = {"-Infinity": -9999.0}
_FIELD = re.compile(rb"(?:data|event|id|retry|error)?:")
_ERROR = b"error"
_ENDS = frozenset({b"data", _ERROR})
"""What ends an event that goes over several lines as its empty line does: `[DONE]`, and what fails."""

_CONSTANT = re.compile("NaN|Infinity")


@dataclass(frozen=True, slots=True)
class Event:
    """A JSON object of an answer, as text and as it is read; `is_whole` when it is all of an answer and no chunk."""

    text: str
    value: dict[str, Any]
    is_whole: bool


class EventReader:
    """Reads one answer; `is_done` is set once the engine has called it whole.

    Whoever reads it sets `is_over` once its text has ended: what comes then and is no event ends it as well.
    """

    def __init__(self, pieces: AsyncIterator[bytes], content_type: str = "") -> None:
        self._pieces = pieces
        self._content_type = content_type
        self.is_done = False
        self.is_over = False
        self._kind = b""
        self._unread: list[bytes] = []
        self._unread_bytes = 0

    async def events(self) -> AsyncGenerator[Event, None]:
        """Yield the objects of an answer up to `[DONE]` or its end; of one that is no stream, the whole.

        A RunFailed says that one is no JSON object, or that the engine failed.
        """
        source = lines(self._pieces)
        is_begun = False
        async for sent in source:
            line = sent.removeprefix(_BYTE_ORDER_MARK)
            if not is_begun and (is_begun := bool(line.strip())) and self._is_whole(line):
                # An engine that does not stream, whatever it is asked.
                yield _event(b"\n".join([line, *[more async for more in source]]), is_whole=True)
                self.is_done = True
                return
            event = self._take(line)
            if event is not None:
                yield event
            if self.is_done:
                await _leave(source)
                return
        if (event := self._joined()) is not None:
            yield event

    def _take(self, line: bytes) -> Event | None:
        """Take a line, and return the event that it ends."""
        name, _, said = line.partition(b":")
        data = said.strip()
        if name == b"data" and data != b"[DONE]":
            # Empty, it is a line of an event like any other, and before one it is nothing.
            if data and not self._unread:
                return self._event_of(data)
            if self._unread:
                self._go_on(data)
            return None
        if name == b"event":
            self._kind = data
        if self._unread and line and name not in _ENDS:
            # A comment, or what else may stand between the lines of an event: its end is an empty line.
            return None
        event = self._joined()
        if data == b"[DONE]":
            self.is_done = True
        elif name == _ERROR and data:
            # llama.cpp had a field of its own for what fails.
            self._kind = _ERROR
            self._event_of(data, is_all=True)
        elif not line:
            self._kind = b""
        return event

    def _go_on(self, data: bytes) -> None:
        self._unread.append(data)
        self._unread_bytes += 1 + len(data)
        if self._unread_bytes > MOST_EVENT_BYTES:
            raise RunFailed(ErrorCategory.ENGINE, TOO_MUCH)

    def _joined(self) -> Event | None:
        """Return the event that was sent in several lines; None where there is none."""
        data, self._unread, self._unread_bytes = b"\n".join(self._unread), [], 0
        return self._event_of(data, is_all=True) if data else None

    def _event_of(self, data: bytes, *, is_all: bool = False) -> Event | None:
        """Return the event that a value stands for; None where the next line goes on with it, or the text is over."""
        try:
            return _event(data, is_whole=False, is_error=self._kind == _ERROR)
        except RunFailed as failure:
            if self.is_over:
                # What is said behind the end of a text takes nothing of it away.
                self.is_done = True
                return None
            if is_all or not isinstance(failure, _NotJsonError):
                raise
        self._go_on(data)
        return None

    def _is_whole(self, first_line: bytes) -> bool:
        """Tell whether an answer is JSON by how it begins, which some engines know better than its content type."""
        is_field = _FIELD.match(first_line) is not None
        return first_line.lstrip().startswith(b"{") or ("json" in self._content_type and not is_field)


async def _leave(source: AsyncIterator[bytes]) -> None:
    """Read what is left of an answer that is whole, as far as it is there already."""
    # The end of the body, as a rule: a connection that is left before it cannot serve the next call.
    with contextlib.suppress(TimeoutError, aiohttp.ClientError, RunFailed):
        async with asyncio.timeout(_REST_SECONDS):
            async for _ in source:
                pass


async def lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the lines of an answer as they end, by LF, CR or both, and what is left at its end.

    Of bytes and not of text: text has more that ends a line, such as U+2028, which JSON has in the midst of a string.

    Raises:
        RunFailed: a line is too long, or the whole.
    """
    unfinished, size = bytearray(), 0
    async for piece in pieces:
        size += len(piece)
        unfinished += piece
        if len(unfinished) > MOST_EVENT_BYTES or size > MOST_ANSWER_BYTES:
            raise RunFailed(ErrorCategory.ENGINE, TOO_MUCH)
        # Looked for in what is new only, or a long line in small pieces would be searched once for each.
        if b"\n" in piece or b"\r" in piece:
            # Bytes are split at LF and CR only.
            ended = unfinished.splitlines(keepends=True)
            unfinished = bytearray() if ended[-1].endswith((b"\n", b"\r")) else ended.pop()
            for line in ended:
                yield bytes(line.rstrip(b"\r\n"))
    if unfinished:
        yield bytes(unfinished)


class _NotJsonError(RunFailed):
    """A value that is no JSON, or not all of it."""


def _event(data: bytes, *, is_whole: bool, is_error: bool = False) -> Event:
    # Not by `json.loads(bytes)`, which guesses the encoding and refuses what is not UTF-8.
    text = data.decode(errors="replace")
    constants: list[str] = []

    def read(constant: str) -> float | None:
        constants.append(constant)
        return _CONSTANTS.get(constant)

    try:
        try:
            chunk = json.loads(text, parse_constant=read) if _CONSTANT.search(text) else json.loads(text)
            # The words may as well stand within a string, and then the event stays as it is.
            text = compact(chunk) if constants else text
        except ValueError:
            # Engines that write JSON themselves leave tabs and their like as they are in a text.
            chunk = json.loads(text, parse_constant=read, strict=False)
            text = compact(chunk)
    except (ValueError, RecursionError):
        said = "the engine sent a frame that is not JSON"
        raise _NotJsonError(ErrorCategory.ENGINE, said, transient=True) from None
    if not isinstance(chunk, dict):
        raise RunFailed(ErrorCategory.ENGINE, f"the engine failed: {error_text(chunk)}", transient=True)
    failure = failure_in_answer({"error": chunk} if is_error and not chunk.get("error") else chunk)
    if failure is not None:
        raise failure
    return Event(text, chunk, is_whole)
