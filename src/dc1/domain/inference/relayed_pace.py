"""How fast a run's answer came, by what the server relayed of it and when."""

from dataclasses import dataclass
from typing import Self

from dc1.domain.inference.usage import BYTES_PER_TOKEN, RelayedText
from dc1.domain.jobs.states import JobSource

_LEAST_MS = 50
"""What came within less tells how it was bundled on its way, and not how it was made."""


@dataclass(slots=True)
class RelayedPace:
    """`begun_ms` is when the call was given out, the others when its answer had begun and how far it has come since."""

    begun_ms: int
    first_ms: int | None = None
    first_tokens: int = 0
    last_ms: int = 0
    last_tokens: int = 0

    @classmethod
    def begun(cls, source: JobSource, now_ms: int) -> Self | None:
        """Return the pace of a call that is given out now; None of other jobs, whose text nobody waits for."""
        return cls(now_ms) if source is JobSource.V1 else None

    def note(self, relayed: RelayedText, now_ms: int) -> None:
        """Take down how much has come by now."""
        # Many small pieces are a token each; of larger ones, or of engines that make several at once, bytes tell more.
        tokens = max(relayed.tokens, relayed.size_bytes // BYTES_PER_TOKEN)
        if tokens <= self.last_tokens:
            return
        if self.first_ms is None:
            self.first_ms, self.first_tokens = now_ms, tokens
        self.last_ms, self.last_tokens = now_ms, tokens

    @property
    def ttft_ms(self) -> int | None:
        """Time to the first token; None for an answer that came in one piece, which began at some time before."""
        is_streamed = self.first_ms is not None and self.last_tokens > self.first_tokens
        return None if self.first_ms is None or not is_streamed else max(0, self.first_ms - self.begun_ms)

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens a second after the first; None where too little came for a figure."""
        if self.first_ms is None or self.last_ms - self.first_ms < _LEAST_MS:
            return None
        return (self.last_tokens - self.first_tokens) * 1000 / (self.last_ms - self.first_ms)
