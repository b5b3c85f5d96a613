"""Answers in an engine's own words are passed on as they are: events that say their types, one object, or bytes."""

from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from dc1.daemon.runners.base import EngineCall, RunFailed, token_count
from dc1.daemon.runners.inference.answer import said_in
from dc1.daemon.runners.inference.engine import Completion, EventCallback
from dc1.daemon.runners.inference.engine_http import pieces_of
from dc1.daemon.runners.inference.event_stream import MOST_ANSWER_BYTES, MOST_EVENT_BYTES, TOO_MUCH, Event
from dc1.daemon.runners.inference.refusals import error_text, refusal
from dc1.daemon.runners.inference.relays.relay import asked_of
from dc1.daemon.runners.inference.text import carried, well_formed
from dc1.domain.base.json_members import members, spliced
from dc1.domain.base.json_types import JsonObject, compact, has_halves, objects
from dc1.domain.inference.audio import TEXT_FORMATS, bytes_event, transcription_fault
from dc1.domain.inference.kinds import kind_of
from dc1.domain.inference.typed_answers import failure_of, is_last, typed_text, usage_in
from dc1.domain.inference.usage import uncounted_tokens
from dc1.domain.jobs.failure_texts import TOO_MUCH_SAID
from dc1.domain.jobs.states import ErrorCategory
from dc1.domain.providers.model_abilities import EnginePath

_PIECE_BYTES: Final = 192 * 1024
_MORE_PIECES: Final = 128
_SOUND: Final = ("audio/", "application/octet-stream")
_TEXT_TYPES: Final = {"vtt": "text/vtt; charset=utf-8"}
_PLAIN_TEXT: Final = "text/plain; charset=utf-8"
_WORDS: Final = (EnginePath.TRANSCRIPTIONS, EnginePath.TRANSLATIONS)
_HAS_WHOLE: Final[Mapping[str, str]] = {EnginePath.MESSAGES: "content", EnginePath.RESPONSES: "output"}
_PROMPT: Final = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


class TypedRelay:
    """Passes on what an engine says of a call, unless it is no answer to it."""

    def __init__(self, call: EngineCall, model: str, send: EventCallback) -> None:
        found = members(call.body)
        self.body = self.asking = spliced(call.body, {"model": model}, found)
        self.is_cut = False
        self.answer = TypedAnswer(call)
        self._path = call.path
        self._asked: JsonObject = {key: member.value for key, member in found.items()}
        self._streams = kind_of(call.path).streams(self._asked)
        self._send = send

    async def take(self, event: Event) -> None:
        """Pass on an event, or an answer in one piece."""
        if failure := failure_of(event.value):
            raise RunFailed(ErrorCategory.ENGINE, f"the engine failed: {error_text(failure)}", transient=True)
        if event.is_whole is self._streams:
            raise RunFailed(ErrorCategory.ENGINE, "the engine does not stream as it was asked to", transient=True)
        self._require_answer(event)
        sent = well_formed(compact(event.value)) if has_halves(event.text, event.value) else event.text
        if len(sent.encode(errors="replace")) > MOST_EVENT_BYTES:
            raise RunFailed(ErrorCategory.ENGINE, TOO_MUCH)
        text = self.answer.take(event.value)
        if self._streams and self.answer.goes_on:
            raise RunFailed(ErrorCategory.ENGINE, TOO_MUCH_SAID)
        await self._send(sent, text, event.is_whole)

    async def end(self) -> None:
        """Pass on that the answer is over."""
        if self._streams:
            await self._send("", "", True)

    def takes_bytes(self, content_type: str) -> bool:
        """Tell whether an answer of this type is passed on as bytes.

        Raises:
            RunFailed: It is not what is asked for, bytes or events.
            refusal: It is JSON, where its caller wants text.
        """
        kind = content_type.strip().lower()
        is_json = kind.startswith("application/json")
        if self._path in _WORDS:
            is_text = self._asked.get("response_format") in TEXT_FORMATS
            if is_text and is_json:
                raise refusal(400, b'{"message": "the engine does not give this response_format"}', {})
            return is_text
        if self._path != EnginePath.SPEECH or is_json:
            return False
        # Of events nobody who wants bytes would hear anything, nor the other way round.
        wants_events = self._asked.get("stream_format") == "sse"
        if not kind.startswith("text/event-stream" if wants_events else _SOUND):
            raise RunFailed(ErrorCategory.ENGINE, "the engine gave no sound", transient=True)
        return not wants_events

    async def take_bytes(self, answer: aiohttp.ClientResponse) -> None:
        """Pass on an answer that is no JSON to its end: sound as it comes, text in one piece.

        Raises:
            RunFailed: It is empty, or too large.
        """
        if self._path in _WORDS:
            return await self._take_text(answer)
        content_type, size = well_formed(answer.headers["content-type"].strip()), 0
        async for piece in pieces_of(answer):
            for start in range(0, len(piece), _PIECE_BYTES):
                part = piece[start : start + _PIECE_BYTES]
                await self._send(compact(bytes_event(content_type, part)), "", False)
            size += len(piece)
            if size > MOST_ANSWER_BYTES:
                raise RunFailed(ErrorCategory.ENGINE, TOO_MUCH)
        if not size:
            raise RunFailed(ErrorCategory.ENGINE, "the engine gave no sound", transient=True)
        self.answer.is_finished = True
        return None

    async def _take_text(self, answer: aiohttp.ClientResponse) -> None:
        text = bytearray()
        async for piece in pieces_of(answer):
            text += piece
            if len(text) > MOST_EVENT_BYTES // 2:
                raise RunFailed(ErrorCategory.ENGINE, TOO_MUCH)
        self.answer.take({"text": text.decode(errors="replace")})
        content_type = _TEXT_TYPES.get(str(self._asked.get("response_format")), _PLAIN_TEXT)
        await self._send(compact(bytes_event(content_type, bytes(text))), "", True)

    def _require_answer(self, event: Event) -> None:
        if not event.is_whole:
            return
        name = _HAS_WHOLE.get(self._path)
        fault = transcription_fault(event.value) if name is None else None
        if name is not None and not isinstance(event.value.get(name), list):
            fault = "the engine gave no answer"
        if fault is not None:
            raise RunFailed(ErrorCategory.ENGINE, fault, transient=True)


class TypedAnswer:
    """What is kept of such an answer: what it took, and the words of a recording."""

    def __init__(self, call: EngineCall) -> None:
        self.is_finished = False
        self._call = call
        # A recording has as many words as it has, of which no engine is told to end anywhere.
        self._most = 0 if kind_of(call.path).counts_prompt else call.max_tokens
        self._texts: list[str] = []
        self._pieces = 0
        self._usage: dict[str, Any] = {}

    def take(self, value: JsonObject) -> str:
        """Return the text that an event or a whole adds; none of sound."""
        choices = objects(value.get("choices"))
        # Some stream the words of a recording as chats.
        said = [str(said_in(each).get("content") or "") for each in choices]
        text = "".join(said) if choices else typed_text(value)
        self._usage |= usage_in(value) or {}
        self._pieces += bool(text)
        is_whole = not isinstance(value.get("type"), str) or value.get("type") == "message"
        self.is_finished = self.is_finished or (
            any(each.get("finish_reason") for each in choices) if choices else is_last(value) or is_whole
        )
        if self._call.path == EnginePath.SPEECH:
            return ""
        self._texts.append(text)
        return well_formed(text)

    @property
    def goes_on(self) -> bool:
        """Whether it goes on beyond where its engine has to end it, which alone knows how such an answer ends."""
        # Some say a token in two pieces, as of a call of a tool its name and that its arguments begin.
        return self._most > 0 and self._pieces > 2 * self._most + _MORE_PIECES

    def completion(self, device: str) -> Completion:
        """Return the whole."""
        asked, kind = asked_of(self._call), kind_of(self._call.path)
        text = "".join(self._texts)
        prompt = kind.prompt_bytes(asked) if kind.counts_prompt else self._prompt_tokens()
        made = self._count("output_tokens", "completion_tokens") or max(
            self._pieces, uncounted_tokens(len(text.encode()))
        )
        is_words = self._call.path in _WORDS
        return Completion(
            well_formed(text) if is_words else "",
            prompt,
            min(made, kind.most_tokens(asked)),
            device,
            extras=self._extras(),
            kind="text" if is_words else self._call.path.rpartition("/")[2],
        )

    def _prompt_tokens(self) -> int | None:
        # What was read before is no part of Anthropic's `input_tokens`.
        said = [self._count(name) for name in _PROMPT]
        return sum(count or 0 for count in said) if said[0] is not None else self._count("prompt_tokens")

    def _extras(self) -> JsonObject:
        details = self._usage.get("input_tokens_details") or self._usage.get("prompt_tokens_details")
        read_before = self._count("cache_read_input_tokens")
        known = {"cached_tokens": read_before} if read_before is not None else details
        return {"usage_details": {"prompt_tokens_details": carried(known)}} if isinstance(known, dict) else {}

    def _count(self, *names: str) -> int | None:
        return next((count for name in names if (count := token_count(self._usage.get(name))) is not None), None)
