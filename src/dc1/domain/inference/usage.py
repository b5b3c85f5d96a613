"""What a /v1 call is charged for: reported tokens within what is possible, else what was relayed."""

from dataclasses import dataclass
from typing import Self

from dc1.domain.base.json_types import JsonObject, JsonValue, compact
from dc1.domain.base.numeric import as_integer
from dc1.domain.inference.calls import InferenceCall
from dc1.domain.inference.kinds import kind_of
from dc1.domain.jobs.results import reasoning_text, refusal_text, response_text, tool_calls

_MORE_TOKENS = 256
_MOST_TOKEN_BYTES = 8 * 1024
"""More than any token has: one of sound is 5 KiB in base64, and one of text a few hundred bytes."""

_MORE_ECHOED = 4
"""How much longer an echo is than its prompt at most, of which the caller may have sent the numbers of its tokens."""

BYTES_PER_TOKEN = 4
"""What nobody counted is taken to be as long as tokens of running text usually are."""


DETAILS = ("prompt_tokens_details", "completion_tokens_details")
"""Where engines say of which kinds the tokens are."""


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens of a call."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    """Those of the prompt that the engine had read before."""

    @property
    def total(self) -> int:
        """All that were read and made."""
        return self.prompt + self.completion


@dataclass(frozen=True, slots=True)
class RelayedText:
    """How much of an answer passed through the server while the run went on: bytes of UTF-8, and tokens.

    `is_whole` once all that the engine said has passed, and nothing of it is missing; `answer` is that where it was one
    object that is neither a chat nor a text.
    """

    size_bytes: int = 0
    tokens: int = 0
    is_whole: bool = False
    answer: JsonObject | None = None

    def plus(self, text: str, count: int) -> Self:
        """Return what it is with another piece, of which the daemon says that it is `count` tokens."""
        size = len(text.encode())
        # A daemon that does not count sends a token a piece; one that counts too much is held to the bytes.
        return type(self)(self.size_bytes + size, self.tokens + min(max(count, 1), size))


NOTHING_RELAYED = RelayedText()


@dataclass(frozen=True, slots=True)
class RunSaid:
    """How much a run has said through a server: bytes and tokens, and how many characters and events that were.

    `is_whole` is 1 once all of its answer has passed, and 0 before.
    """

    row_id: int
    attempt: int
    size_bytes: int
    tokens: int
    characters: int
    events: int
    is_whole: int = 0

    def relayed_of(self, attempt: int) -> RelayedText:
        """Return it as what is paid for that attempt: nothing where it was another one."""
        is_of_it = attempt == self.attempt
        return RelayedText(self.size_bytes, self.tokens, bool(self.is_whole)) if is_of_it else NOTHING_RELAYED


@dataclass(frozen=True, slots=True)
class CallBounds:
    """What bounds the tokens of a call: a token is at least one byte of UTF-8.

    Where the prompt `is_counted`, its bytes are no bound but what is paid. An answer that `streams` can be cut, and
    `echoed` is how much of it is the prompt once more.
    """

    prompt_bytes: int
    max_tokens: int
    is_counted: bool = False
    streams: bool = False
    echoed: int = 0

    @classmethod
    def of(cls, path: str | None, params: JsonObject) -> Self:
        """Return the bounds of a call by its path and body, or by the params that an older server kept of a chat."""
        kind = kind_of(path)
        # The words of a recording are as many as they are, and those beyond what is paid are free.
        is_cut = kind.answer_fault is None and not kind.counts_prompt and kind.streams(params)
        prompt = kind.prompt_bytes(params)
        echoed = _MORE_ECHOED * prompt * kind.answers(params) if params.get("echo") else 0
        return cls(prompt, kind.most_tokens(params), kind.counts_prompt, is_cut, echoed)

    @staticmethod
    def may_be_passed(relayed: RelayedText) -> bool:
        """Tell whether so much of an answer may be more than its call comes to, so that the bounds have to be known."""
        return relayed.tokens > _MORE_TOKENS or relayed.size_bytes > _MORE_TOKENS * _MOST_TOKEN_BYTES

    def are_passed(self, relayed: RelayedText) -> bool:
        """Tell whether a stream goes on far beyond where its daemon has to cut it.

        Far: an engine may say a token in two pieces, and daemons need not count as we do.
        """
        most = 2 * self.max_tokens + self.echoed + _MORE_TOKENS
        is_much = relayed.tokens > most or relayed.size_bytes > most * _MOST_TOKEN_BYTES
        return is_much and self.streams and self.max_tokens > 0

    @property
    def usual_prompt(self) -> int:
        """How many tokens the prompt is taken to be where nobody has said it."""
        return self.prompt_bytes if self.is_counted else uncounted_tokens(self.prompt_bytes)

    def believed(self, said: TokenUsage, relayed_bytes: int) -> TokenUsage:
        """Return as much of what a daemon says of an answer of `relayed_bytes` as can be."""
        prompt = self.prompt_bytes if self.is_counted else min(max(said.prompt, 0), self.prompt_bytes)
        return TokenUsage(
            prompt=prompt,
            completion=min(max(said.completion, 0), self.max_tokens, relayed_bytes),
            cached=min(max(said.cached, 0), prompt),
        )

    def filled(self, prompt: int | None, completion: int | None, relayed: RelayedText, size: int) -> TokenUsage:
        """Return what a daemon says of a whole answer of `size` bytes, and what nobody counted as it is taken to be."""
        made = relayed.tokens or uncounted_tokens(size)
        return TokenUsage(
            self.usual_prompt if prompt is None else prompt,
            made if completion is None else completion,
        )

    def counted(self, relayed: RelayedText) -> TokenUsage:
        """Return what a call took that was cut off, so that nobody reported it; nothing before its first token."""
        if not relayed.tokens:
            return TokenUsage()
        # Before the first token the whole prompt was read.
        return TokenUsage(self.usual_prompt, min(relayed.tokens, self.max_tokens))


def expected_tokens(call: InferenceCall) -> int:
    """Return what a call may come to, for which it counts until it has ended."""
    # What is paid by its bytes or characters is known before, and no guess.
    read = call.prompt_bytes if kind_of(call.path).counts_prompt else call.prompt_bytes // BYTES_PER_TOKEN
    return read + call.max_tokens


def uncounted_tokens(size: int) -> int:
    """Return how many tokens so many bytes are taken to be."""
    return -(-size // BYTES_PER_TOKEN)


def result_bytes(result: JsonValue) -> int:
    """Return the bytes of what a call's answer has of a result: text, reasoning, refusal and calls of tools."""
    # Nothing that the caller is not given: whatever else a daemon puts there, it would be paid for.
    size = sum(len(said(result).encode()) for said in (response_text, reasoning_text, refusal_text))
    return size + sum(len(compact(call).encode()) for call in tool_calls(result))


def cached_tokens(result: JsonValue) -> int:
    """Return how many tokens of the prompt an engine says it had read before; it only lowers the bill."""
    details = result.get("usage_details") if isinstance(result, dict) else None
    of_prompt = details.get("prompt_tokens_details") if isinstance(details, dict) else None
    return (as_integer(of_prompt.get("cached_tokens")) or 0) if isinstance(of_prompt, dict) else 0


def usage_details(result: JsonValue, prompt_tokens: int, completion_tokens: int) -> JsonObject:
    """Return what an engine says of its tokens, such as how many were cached: no more of a kind than there are."""
    said = result.get("usage_details") if isinstance(result, dict) else None
    kinds = dict(zip(DETAILS, (prompt_tokens, completion_tokens), strict=True))
    found: JsonObject = {}
    for kind, most in kinds.items():
        counts = said.get(kind) if isinstance(said, dict) else None
        if isinstance(counts, dict):
            whole = {name: as_integer(count) for name, count in counts.items()}
            found[kind] = {name: max(0, min(count, most)) for name, count in whole.items() if count is not None}
    return found
