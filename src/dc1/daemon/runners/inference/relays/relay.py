"""What an engine says is passed on as it says it; only what no reader could use is mended."""

import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Protocol

from dc1.daemon.runners.base import EngineCall, RunFailed, token_count
from dc1.daemon.runners.inference.answer import Answer, index_of, said_in, says_something
from dc1.daemon.runners.inference.engine import Completion, EventCallback
from dc1.daemon.runners.inference.event_stream import MOST_EVENT_BYTES, TOO_MUCH, Event
from dc1.daemon.runners.inference.refusals import refusal
from dc1.daemon.runners.inference.relays.fences import Fences
from dc1.daemon.runners.inference.relays.mending import Asked, mend_said, whole_mended
from dc1.daemon.runners.inference.relays.wishes import Wishes, name_of
from dc1.daemon.runners.inference.text import SplitText, text_of, well_formed
from dc1.daemon.runners.inference.tool_calls import (
    NO_ARGUMENTS,
    ToolCalls,
    made_id,
    mend_arguments,
    mend_call,
    mend_whole_calls,
)
from dc1.domain.base.json_members import Member, members, spliced
from dc1.domain.base.json_types import JsonObject, JsonValue, compact, has_halves, objects
from dc1.domain.inference.calls import MAX_ANSWERS
from dc1.domain.inference.kinds import kind_of
from dc1.domain.inference.usage import uncounted_tokens
from dc1.domain.jobs.states import ErrorCategory
from dc1.domain.providers.model_abilities import EnginePath

_TEXTS = ("content", "text", "reasoning_content", "reasoning", "refusal")


class Whole(Protocol):
    """What has come of an answer."""

    @property
    def is_finished(self) -> bool:
        """Whether the engine has said that it ends."""
        ...

    def completion(self, device: str) -> Completion:
        """Return the whole."""
        ...


class Relay(Protocol):
    """Who listens to an answer."""

    body: str
    asking: str
    """The body with what else the engine is asked for, so that it says its usage; the same where there is nothing."""
    is_cut: bool

    @property
    def answer(self) -> Whole:
        """What has come of it."""
        ...

    async def take(self, event: Event) -> None:
        """Take what the engine says next."""
        ...

    async def end(self) -> None:
        """Take the answer's end."""
        ...


class TextRelay:
    """Passes on the text of an answer that nobody wants as bytes."""

    def __init__(self, body: JsonObject, on_token: Callable[[str], Awaitable[None]]) -> None:
        self.body = compact(body)
        self.asking = compact({**body, "stream_options": {"include_usage": True}})
        self.answer = Answer()
        self.is_cut = False
        self._on_token = on_token

    async def take(self, event: Event) -> None:
        """Pass on the text of an event."""
        text = self.answer.take(event.value)
        if text:
            await self._on_token(text)

    async def end(self) -> None:
        """Pass on the text that waited for more."""
        rest = self.answer.rest()
        if rest:
            await self._on_token(rest)


class EventRelay:
    """Passes on the events of an answer to a call, and cuts it where it has more tokens than were paid ahead."""

    def __init__(self, call: EngineCall, model: str, send: EventCallback) -> None:
        # Read once, for a conversation may be long.
        found, kind = members(call.body), kind_of(call.path)
        asked = _values(found)
        self._wanted = kind.answers(asked)
        self._asked = Asked(self._wanted)
        self._streams = asked.get("stream") is True
        self._wishes = Wishes(asked, self._wanted)
        self._fences = Fences() if self._wishes.wants_json else None
        options = asked.get("stream_options")
        known = options if isinstance(options, dict) else {}
        self.body = self.asking = spliced(call.body, {"model": model}, found)
        if self._streams:
            wanted: JsonObject = {"model": model, "stream_options": {**known, "include_usage": True}}
            self.asking = spliced(call.body, wanted, found)
        self._call = call
        self.answer = Answer(self._wanted)
        self.is_cut = False
        self._makes_text = call.path == EnginePath.COMPLETIONS
        self._most = call.max_tokens
        self._send = send
        self._seen: set[int] = set()
        self._begun: set[int] = set()
        self._made: defaultdict[int, int] = defaultdict(int)
        self._calls: defaultdict[int, ToolCalls] = defaultdict(ToolCalls)
        self._ids: dict[tuple[int, int], str] = {}
        self._split: defaultdict[tuple[int, str], SplitText] = defaultdict(SplitText)
        self._is_relayed = True
        self._last: JsonObject = {}
        self._ends: list[tuple[str, str]] = []
        self._held: list[tuple[str, str]] = []
        self._held_size = 0

    async def take(self, event: Event) -> None:
        """Pass on an event; a whole answer that is none, or fewer than were asked for is refused."""
        choices, changed = self._asked.told(event.value)
        if changed and not (choices or event.value.get("usage")):
            # About answers alone that nobody asked for.
            return
        self._seen.update(map(index_of, choices))
        if not event.is_whole:
            for choice in choices:
                self._made[index_of(choice)] += says_something(choice)
        # Before anything is made of it, so that the caller, the result and whoever judges them have the same text.
        changed |= self._fences is not None and self._fences.leave_out(choices, is_whole=event.is_whole)
        for choice in choices:
            changed |= not self._makes_text and mend_said(choice, "message" if event.is_whole else "delta")
            changed |= mend_whole_calls(said_in(choice)) if event.is_whole else self._mend_calls(choice)
        text = self.answer.take(event.value)
        if event.is_whole:
            self._require_answers([choice for choice in choices if said_in(choice)])
        self._wishes.look_at(choices, is_whole=event.is_whole)
        # An engine that streams unasked, or does not though asked, is heard all the same: its answer is put together.
        self._is_relayed = self._is_relayed and event.is_whole is not self._streams
        mend = whole_mended if event.is_whole else self._mended
        sent = mend(event, choices, changed=changed) if self._is_relayed else ""
        # What has several lines, or was written anew, may be larger than any line: it would cut the daemon's stream.
        if _is_too_large(sent):
            raise RunFailed(ErrorCategory.ENGINE, TOO_MUCH)
        if self._waits(event, choices):
            # With its text: that alone would be told in its place, and then once more.
            self._ends.append((sent, text))
            sent = text = ""
        if self._ends and (not choices or len(self._ends) > 2 * MAX_ANSWERS):
            await self._tell_ends()
        if sent or text:
            await self._tell(sent, text, is_last=event.is_whole and self._is_relayed)
        if not event.is_whole:
            self._last = event.value
            await self._cut()

    async def end(self) -> None:
        """Pass on that the answer is over, unless it is none or fewer than were asked for."""
        for index, piece in (self._fences.rests() if self._fences is not None else {}).items():
            value = self._chunk([_piece(index, "text" if self._makes_text else "content", piece)])
            await self.take(Event(compact(value), value, is_whole=False))
        rest = self.answer.rest()
        await self._tell_ends()
        self._require_answers(self._seen)
        self._wishes.end()
        if rest or self._held or (self._is_relayed and self._streams):
            halves = self._halves()
            said = compact(self._chunk(halves)) if halves and self._is_relayed else ""
            await self._tell(said, rest, is_last=self._is_relayed)

    def _require_answers(self, said: Collection[object]) -> None:
        if not said:
            raise RunFailed(ErrorCategory.ENGINE, "the engine gave no answer", transient=True)
        # Never an answer without what was asked for; of one answer it is known by its finish_reason.
        if self._wanted > 1 and len(self._seen) < self._wanted:
            raise refusal(400, b'{"message": "the engine gives fewer answers than n"}', {})

    async def _tell(self, sent: str, text: str, *, is_last: bool = False) -> None:
        """Pass on what is told, once nothing of the answer can turn out to be refused."""
        if not (is_last or self._held or self._wishes.is_open):
            await self._send(sent, text, False)
            return
        self._held.append((sent, text))
        self._held_size += len(sent) + len(text)
        if self._held_size > 2 * MOST_EVENT_BYTES:
            raise RunFailed(ErrorCategory.ENGINE, TOO_MUCH)
        if is_last or not self._wishes.is_open:
            held, self._held = self._held, []
            for number, each in enumerate(held, start=1):
                await self._send(*each, is_last and number == len(held))

    def _mended(self, event: Event, choices: list[dict[str, Any]], *, changed: bool) -> str:
        if not isinstance(event.value.get("choices"), list):
            # Such as `{}` for a sign of life: readers look into the list of every chunk.
            event.value["choices"] = []
            changed = True
        for choice in choices:
            changed |= self._mend_role(choice)
        if (self._split and any(split.waits for split in self._split.values())) or has_halves(event.text, event.value):
            for choice in choices:
                self._join(choice)
            # The text of it all, as values beside the halves need not be what other readers could not take.
            return well_formed(compact(event.value))
        return compact(event.value) if changed else event.text

    def _mend_role(self, choice: dict[str, Any]) -> bool:
        """Have an answer begin with who says it, which clients wait for; tell whether it did not.

        llama.cpp leaves that out where the first token is the first part of a character.
        """
        index, said = index_of(choice), choice.get("delta")
        if index in self._begun or not isinstance(said, dict) or not said:
            return False
        self._begun.add(index)
        is_missing = "role" not in said
        said.setdefault("role", "assistant")
        return is_missing

    def _mend_calls(self, choice: dict[str, Any]) -> bool:
        """Give each piece of a tool's call its own index, and what `mend_call` gives; tell whether any had not."""
        index, pieces = index_of(choice), objects(said_in(choice).get("tool_calls"))
        if not pieces:
            return False
        changed, repeats = False, self._calls[index].repeats
        for piece, place in zip(pieces, self._calls[index].add(pieces), strict=True):
            made = self._ids.get((index, place))
            if made is None and (piece.get("id") or name_of(piece)):
                made = "" if piece.get("id") else made_id()
                self._ids[index, place] = made
                changed |= mend_call(piece, made)
            elif made and piece.pop("id", None) is not None:
                changed = True
            changed |= mend_arguments(piece)
            if piece.get("index") != place:
                piece["index"] = place
                changed = True
        return changed or self._calls[index].repeats > repeats

    def _waits(self, event: Event, choices: list[dict[str, Any]]) -> bool:
        """Tell whether an event ends an answer that calls tools of whose arguments nothing came yet.

        Some engines say them behind it; of a tool without parameters none come, and to clients a call is one once its
        arguments can be read.
        """
        if not self._calls or event.is_whole or not self._is_relayed:
            return False
        return any(choice.get("finish_reason") and self._calls[index_of(choice)].has_blank for choice in choices)

    async def _tell_ends(self) -> None:
        """Pass on the ends that waited for arguments, with an empty object of those that did not come."""
        ends, self._ends = self._ends, []
        for sent, text in ends:
            value, changed = json.loads(sent), False
            for choice in objects(value["choices"]):
                if choice.get("finish_reason") and (blank := self._calls[index_of(choice)].fill()):
                    said = [{"index": place, "function": {"arguments": NO_ARGUMENTS}} for place in blank]
                    delta, changed = said_in(choice), True
                    choice["delta"] = {**delta, "tool_calls": [*objects(delta.get("tool_calls")), *said]}
            await self._tell(compact(value) if changed else sent, text)

    def _join(self, choice: dict[str, Any]) -> None:
        index, delta = index_of(choice), said_in(choice)
        for name in _TEXTS:
            if isinstance(delta.get(name), str):
                delta[name] = self._split[index, name].take(delta[name])
        for piece in objects(delta.get("tool_calls")):
            function = piece.get("function")
            if isinstance(function, dict) and isinstance(function.get("arguments"), str):
                split = self._split[index, str(piece.get("index"))]
                function["arguments"] = split.take(function["arguments"])
        if choice.get("finish_reason"):
            self._tell_rests(choice, index)

    def _tell_rests(self, choice: dict[str, Any], index: int) -> None:
        """Have an answer's last chunk say what stands for halves of characters that nothing came to."""
        said = choice if self._makes_text else {**said_in(choice)}
        for name in _TEXTS:
            if ((index, name) in self._split) and (rest := self._split[index, name].rest()):
                said[name] = text_of(said.get(name)) + rest
        if not self._makes_text:
            choice["delta"] = said

    def _halves(self) -> list[JsonValue]:
        """Return the choices of a chunk with what stands for halves of characters that nothing came to."""
        rests = [(index, name, split.rest()) for (index, name), split in self._split.items() if name in _TEXTS]
        return [_piece(index, name, rest) for index, name, rest in rests if rest]

    def _chunk(self, choices: list[JsonValue]) -> JsonObject:
        head = {name: value for name, value in self._last.items() if name not in ("choices", "usage")}
        return {**head, "choices": choices}

    async def _cut(self) -> None:
        if not self._most or self.answer.is_finished or all(made <= self._most for made in self._made.values()):
            return
        self.is_cut = True
        await self._tell_ends()
        self._wishes.let_be()
        name = "text" if self._makes_text else ""
        ends: list[JsonValue] = [_piece(each, name, "", "length") for each in sorted(self._seen)]
        made = sum(min(count, self._most) for count in self._made.values())
        read = uncounted_tokens(kind_of(self._call.path).prompt_bytes(asked_of(self._call)))
        usage: JsonObject = {"prompt_tokens": read, "completion_tokens": made, "total_tokens": read + made}
        value: JsonObject = {**self._last, "choices": ends, "usage": usage}
        self.answer.take(value)
        if self._is_relayed:
            await self._tell(compact(value), "")


class WholeRelay:
    """Passes on an answer that comes in one piece and is none unless it says all that was asked for."""

    def __init__(self, call: EngineCall, model: str, send: EventCallback) -> None:
        self.body = self.asking = spliced(call.body, {"model": model})
        self.is_cut = False
        self.answer = WholeAnswer(call)
        self._send = send

    async def take(self, event: Event) -> None:
        """Pass on the answer, unless it is none."""
        if not event.is_whole:
            raise RunFailed(ErrorCategory.ENGINE, "the engine streams what has no parts")
        self.answer.take(event.value)
        sent = whole_mended(event, [])
        if _is_too_large(sent):
            raise RunFailed(ErrorCategory.ENGINE, TOO_MUCH)
        await self._send(sent, "", True)

    async def end(self) -> None:
        """Do nothing: whatever is whole has been passed on."""


class WholeAnswer:
    """What is kept of such an answer: what it took, for it may have megabytes and the caller has them."""

    def __init__(self, call: EngineCall) -> None:
        self.is_finished = False
        self._call = call
        self._prompt_tokens: int | None = None
        self._made = 0

    def take(self, value: JsonObject) -> None:
        """Take the answer; a RunFailed says that it is none."""
        asked, kind = asked_of(self._call), kind_of(self._call.path)
        fault = kind.answer_fault(asked, value) if kind.answer_fault is not None else None
        if fault is not None:
            raise RunFailed(ErrorCategory.ENGINE, fault, transient=True)
        if (unmet := kind.unmet(asked, value)) is not None:
            raise refusal(400, compact({"message": unmet}).encode(), {})
        usage = value.get("usage")
        said = usage if isinstance(usage, dict) else {}
        counted = token_count(said.get("prompt_tokens")) or token_count(said.get("total_tokens"))
        # What reads alone is paid by what it reads, so that an engine which does not count is not without pay.
        self._prompt_tokens = counted or uncounted_tokens(kind.prompt_bytes(asked))
        self._made = kind.tokens_made(value)
        self.is_finished = True

    def completion(self, device: str) -> Completion:
        """Return the whole."""
        kind = self._call.path.rpartition("/")[2]
        return Completion("", self._prompt_tokens, self._made, device, kind=kind)


def asked_of(call: EngineCall) -> JsonObject:
    """Return what a call asks for."""
    return _values(members(call.body))


def _values(found: Mapping[str, Member]) -> JsonObject:
    return {key: member.value for key, member in found.items()}


def _piece(index: int, name: str, text: str, finish_reason: str | None = None) -> JsonObject:
    """Return a choice of a chunk that adds a text under a name, to an answer of the kind that has it."""
    said: JsonObject = {"text": text} if name == "text" else {"delta": {name: text} if name else {}}
    return {"index": index, **said, "finish_reason": finish_reason}


def _is_too_large(text: str) -> bool:
    # A character is four bytes at most.
    return 4 * len(text) > MOST_EVENT_BYTES and len(text.encode(errors="replace")) > MOST_EVENT_BYTES
