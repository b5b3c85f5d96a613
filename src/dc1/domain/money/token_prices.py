"""What tokens of a model cost: those that are read, those that were read before, and those that are made."""

from dataclasses import dataclass
from typing import Self

from dc1.domain.money.pricing import MICRO_PER_HALALA


@dataclass(frozen=True, slots=True)
class TokenPrices:
    """Prices in halala per million tokens, so that each token's is a whole number of millionths."""

    prompt_halala: int
    completion_halala: int
    cached_halala: int

    @classmethod
    def of(cls, prompt_halala: int, completion_halala: int | None = None, cached_halala: int | None = None) -> Self:
        """Return the prices of a model; what has none of its own costs what the prompt does."""
        return cls(
            prompt_halala,
            prompt_halala if completion_halala is None else completion_halala,
            prompt_halala if cached_halala is None else cached_halala,
        )

    def price_micro(self, prompt: int, completion: int, cached: int = 0) -> int:
        """Return the exact price of tokens in millionths of a halala; `cached` are those of the prompt read before."""
        read = (prompt - cached) * self.prompt_halala + cached * self.cached_halala
        return read + completion * self.completion_halala

    def hold(self, prompt_bytes: int, max_tokens: int) -> int:
        """Return what is held for a call in halala: its dearest end, as a byte of UTF-8 is at most one token."""
        # Minus twice rounds an integer division up.
        return -(-self.price_micro(prompt_bytes, max_tokens) // MICRO_PER_HALALA)
