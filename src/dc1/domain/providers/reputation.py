"""Reputation tells how reliable a provider has been lately."""

import math
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Self

from dc1.domain.base.clock import DAY_MS

HEARTBEATS_PER_WEEK = 20_160
"""A beat every 30 seconds for 7 days."""

LONGEVITY_DAYS = 30
HALF_LIFE_MS = 7 * DAY_MS
"""After this long a run counts half."""

FEWEST_RUNS, FEW_RUNS = 2, 5
"""Failures are held against as many runs as there were, 2 at the least, and however long ago up to 5 of them: so one is
not all that is known of a provider, and what fades is made up for by nothing."""

# 2026-01-01. Sums of weights fit a double for a thousand half-lives, which is 19 years, from here; later all weigh the
# same.
_EPOCH_MS = 1_767_225_600_000
_MOST_HALF_LIVES = 1000
_KNOWN_AFTER_RUNS = 10
_TOP_SCORE = 90
_RELIABLE_SCORE = 60
# Sums of weights are not exact: a half that is meant is rounded up all the same.
_TOLERANCE = 1e-9


def weight_at(time_ms: int) -> float:
    """Return how much a run that ends then weighs, beside those of other times."""
    # Newer ones grow instead of older ones shrinking: so a sum is only ever added to, and is right at any time without
    # being brought forward.
    half_lives = (time_ms - _EPOCH_MS) / HALF_LIFE_MS
    return math.exp2(max(-_MOST_HALF_LIVES, min(_MOST_HALF_LIVES, half_lives)))


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The ended runs of a provider, as sums of their weights: completed, and failed by its own fault; and how many."""

    completed: float = 0.0
    failed: float = 0.0
    runs: int = 0

    def plus(self, other: Self) -> Self:
        """Return the record with more runs."""
        return type(self)(self.completed + other.completed, self.failed + other.failed, self.runs + other.runs)

    @property
    def success_percent(self) -> float:
        """Share of the ended runs that completed, the newer weighing more; 100 before the first."""
        ended = self.completed + self.failed
        return 100.0 * self.completed / ended if ended else 100.0

    def success_score(self, now_ms: int) -> float:
        """Return 100 less the weight of failures, which fades, in all that is to be held against them."""
        least = min(max(self.runs, FEWEST_RUNS), FEW_RUNS)
        ended = max(self.completed + self.failed, least * weight_at(now_ms))
        return 100.0 * (1.0 - self.failed / ended)


NO_RUNS = RunRecord()


def uptime_percent(heartbeats_of_7_days: int) -> Fraction:
    """Return the share of a week's heartbeats that were received, at most 100."""
    return min(Fraction(100 * heartbeats_of_7_days, HEARTBEATS_PER_WEEK), Fraction(100))


def uptime_percent_of_day(heartbeats_of_24_hours: float) -> float:
    """Return the share of a day's heartbeats that were received, 0 to 100 with one decimal."""
    # 100 % of a seventh of a week's beats.
    return min(100.0, round(heartbeats_of_24_hours * 700 / HEARTBEATS_PER_WEEK, 1))


def reputation(record: RunRecord, heartbeats_of_7_days: int, account_days: int, now_ms: int) -> int:
    """Return the score of a provider, 0 to 100, rounded half up."""
    # Asked for each provider with each of its beats, and every time it is placed: floats, for fractions take longer
    # than all else.
    uptime = min(100.0, 100.0 * heartbeats_of_7_days / HEARTBEATS_PER_WEEK)
    longevity = min(100.0, 100.0 * account_days / LONGEVITY_DAYS)
    score = (7 * record.success_score(now_ms) + 2 * uptime + longevity) / 10
    return math.floor(score + 0.5 + _TOLERANCE)


class Tier(StrEnum):
    """How lists call a provider's reputation."""

    TOP = "top"
    RELIABLE = "reliable"
    NEW = "new"


def tier(score: int, ended_runs: int) -> Tier:
    """Return the tier of a provider; one that has not proved itself, in ten runs and by its score, is called new."""
    if ended_runs < _KNOWN_AFTER_RUNS or score < _RELIABLE_SCORE:
        return Tier.NEW
    return Tier.TOP if score >= _TOP_SCORE else Tier.RELIABLE
