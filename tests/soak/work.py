"""The jobs of a soak: what a renter orders, and every daemon does."""

import random
from dataclasses import dataclass
from typing import Self

from dc1.domain.base.json_types import JsonObject
from dc1.testing.rest import Json

_SECONDS = (0.2, 3.0)
_MOST_LINES = 12


@dataclass(frozen=True, slots=True)
class Order:
    """How long a job takes, how many lines it writes meanwhile, and whether it fails in the end."""

    seconds: float
    lines: int
    fails: bool

    @classmethod
    def rolled(cls, dice: random.Random, *, fails: bool) -> Self:
        return cls(round(dice.uniform(*_SECONDS), 2), dice.randint(1, _MOST_LINES), fails)

    @classmethod
    def read(cls, params: JsonObject) -> Self:
        seconds, lines = params["seconds"], params["lines"]
        assert isinstance(seconds, int | float)
        assert isinstance(lines, int)
        return cls(seconds, lines, params["fails"] is True)

    @property
    def params(self) -> Json:
        return {"seconds": self.seconds, "lines": self.lines, "fails": self.fails, "prompt": "اكتب بيتين عن البحر"}

    @property
    def pause(self) -> float:
        """Seconds before each line."""
        return self.seconds / self.lines


FAILURE = "It failed as it was told to"
