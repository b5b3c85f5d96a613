"""The kinds of calls under /v1, by the path of an engine's API that takes them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from dc1.domain import errors
from dc1.domain.base.json_members import spliced, without
from dc1.domain.base.json_types import JsonObject
from dc1.domain.errors import FieldViolation
from dc1.domain.inference.affinity import shared_by
from dc1.domain.inference.audio import (
    FILE,
    speech_characters,
    speech_faults,
    text_tokens,
    transcription_faults,
    transcription_tokens,
)
from dc1.domain.inference.call_routing import CallRouting, own_keys
from dc1.domain.inference.calls import InferenceCall, is_missing, read_body
from dc1.domain.inference.chat import answers_wanted, chat_faults, chat_tokens_of_each, prompt_bytes
from dc1.domain.inference.images import (
    B64_JSON,
    image_answer_fault,
    image_faults,
    image_prompt_bytes,
    image_tokens,
    images_made,
    images_wanted,
)
from dc1.domain.inference.native import (
    messages_faults,
    native_prompt_bytes,
    native_tokens,
    responses_faults,
    within_limit,
)
from dc1.domain.inference.owners_keys import owners_faults
from dc1.domain.inference.text_completions import (
    completion_faults,
    completion_prompt_bytes,
    completion_tokens_of_each,
    completions_wanted,
)
from dc1.domain.inference.typed_answers import TYPED_PATHS
from dc1.domain.inference.vectors import (
    embedding_answer_fault,
    embedding_faults,
    embedding_prompt_bytes,
    rerank_answer_fault,
    rerank_faults,
    rerank_prompt_bytes,
    unmet_dimensions,
)
from dc1.domain.providers.model_abilities import EnginePath


def _asks_to_stream(body: JsonObject) -> bool:
    return body.get("stream") is True


@dataclass(frozen=True, slots=True)
class CallKind:
    """What is read of a call of one kind.

    `required` are the keys without which there is no call, of which those in `may_be_blank` may be empty.
    `prompt_bytes` bounds the tokens that a model reads, `tokens_of_each` those that it makes for each of its `answers`.
    A kind with an `answer_fault` is answered with one object, which that judges, and never as a stream; `unmet` is what
    an answer passes over that was asked for, and `tokens_made` what it counts for beside what was read. `written` is
    put into a call that does not say it. Where `counts_prompt` is set, `prompt_bytes` is what is paid and no bound.
    `streams` tells whether an answer comes in parts.
    """

    required: tuple[str, ...]
    faults: Callable[[JsonObject], Iterator[FieldViolation]]
    prompt_bytes: Callable[[JsonObject], int]
    tokens_of_each: Callable[[JsonObject], int] = lambda _: 0
    answers: Callable[[JsonObject], int] = lambda _: 1
    answer_fault: Callable[[JsonObject, JsonObject], str | None] | None = None
    unmet: Callable[[JsonObject, JsonObject], str | None] = lambda _asked, _answer: None
    tokens_made: Callable[[JsonObject], int] = lambda _: 0
    may_be_blank: tuple[str, ...] = ()
    written: Mapping[str, str] = field(default_factory=dict)
    counts_prompt: bool = False
    streams: Callable[[JsonObject], bool] = _asks_to_stream

    def most_tokens(self, body: JsonObject) -> int:
        """Return how many tokens all answers to a call have together at most."""
        return self.tokens_of_each(body) * self.answers(body)


_CHAT = CallKind(("model", "messages"), chat_faults, prompt_bytes, chat_tokens_of_each, answers_wanted)

_TRANSCRIPTION = CallKind(("model", FILE), transcription_faults, transcription_tokens, text_tokens, counts_prompt=True)

CALL_KINDS: Mapping[str, CallKind] = {
    EnginePath.CHAT: _CHAT,
    EnginePath.COMPLETIONS: CallKind(
        ("model", "prompt"),
        completion_faults,
        completion_prompt_bytes,
        completion_tokens_of_each,
        completions_wanted,
        may_be_blank=("prompt",),
    ),
    EnginePath.EMBEDDINGS: CallKind(
        ("model", "input"),
        embedding_faults,
        embedding_prompt_bytes,
        answer_fault=embedding_answer_fault,
        unmet=unmet_dimensions,
    ),
    EnginePath.RERANK: CallKind(
        ("model", "query", "documents"), rerank_faults, rerank_prompt_bytes, answer_fault=rerank_answer_fault
    ),
    EnginePath.IMAGES: CallKind(
        ("model", "prompt"),
        image_faults,
        image_prompt_bytes,
        image_tokens,
        images_wanted,
        answer_fault=image_answer_fault,
        tokens_made=images_made,
        # The address of a picture on the provider's machine would be of no use to anybody else.
        written={"response_format": B64_JSON},
    ),
    EnginePath.MESSAGES: CallKind(
        ("model", "messages", "max_tokens"),
        messages_faults,
        native_prompt_bytes,
        partial(native_tokens, EnginePath.MESSAGES),
    ),
    EnginePath.RESPONSES: CallKind(
        ("model", "input"), responses_faults, native_prompt_bytes, partial(native_tokens, EnginePath.RESPONSES)
    ),
    EnginePath.SPEECH: CallKind(
        ("model", "input"), speech_faults, speech_characters, counts_prompt=True, streams=lambda _: True
    ),
    EnginePath.TRANSCRIPTIONS: _TRANSCRIPTION,
    EnginePath.TRANSLATIONS: _TRANSCRIPTION,
}


def kind_of(path: str | None) -> CallKind:
    """Return the kind of a stored call; what has no path is older than any other kind than chats."""
    return CALL_KINDS.get(path or EnginePath.CHAT, _CHAT)


def needs_bodies(path: str | None, body: JsonObject) -> bool:
    """Tell whether an answer is only what its engine said: a result has the text of one answer to a chat."""
    return (path or EnginePath.CHAT) != EnginePath.CHAT or answers_wanted(body) > 1


def read_call(path: str, sent: bytes, max_bytes: int) -> InferenceCall:
    """Return the call of a path's kind that a body stands for.

    Raises:
        missing_fields: required keys are absent or blank.
        validation_failed: otherwise, for all keys that are wrong together.
    """
    kind = CALL_KINDS[path]
    text, body = read_body(sent, max_bytes)
    # Before anything else: what is not there can be neither right nor wrong.
    missing = [name for name in kind.required if _is_absent(kind, name, body)]
    if missing:
        raise errors.missing_fields(missing)
    generates = kind.answer_fault is None and not kind.counts_prompt
    faults = [*kind.faults(body), *owners_faults(body, generates=generates)]
    if faults:
        raise errors.validation_failed(faults)
    routing = CallRouting.read(body)
    for name in [*own_keys(body)]:
        # Neither sent nor paid for.
        text = without(text, name)
        del body[name]
    written = {name: value for name, value in kind.written.items() if body.get(name) is None}
    # Not without a change: it would be read once more to find where nothing is to be put.
    text = spliced(text, written) if written else text
    model, options = body["model"], body.get("stream_options")
    assert isinstance(model, str)
    return InferenceCall(
        model=model,
        path=path,
        body=within_limit(path, text, body),
        prompt_bytes=kind.prompt_bytes(body),
        max_tokens=kind.most_tokens(body),
        stream=kind.answer_fault is None and kind.streams(body),
        answers=kind.answers(body),
        needs_bodies=needs_bodies(path, body),
        # Answers in other words than chats end with it, asked for or not.
        wants_usage=path in TYPED_PATHS or (isinstance(options, dict) and options.get("include_usage") is True),
        shared=shared_by(body),
        routing=routing,
        is_sound=path == EnginePath.SPEECH and body.get("stream_format") != "sse",
    )


def _is_absent(kind: CallKind, name: str, body: JsonObject) -> bool:
    value = body.get(name)
    return value is None if name in kind.may_be_blank else is_missing(value)
