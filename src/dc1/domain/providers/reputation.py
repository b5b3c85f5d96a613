"""Reputation tells how reliable a provider has been."""

import math
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache

HEARTBEATS_PER_WEEK = 20_160
"""A beat every 30 seconds for 7 days."""

LONGEVITY_DAYS = 30

_KNOWN_AFTER_RUNS = 10
_TOP_SCORE = 90
_RELIABLE_SCORE = 60


def success_percent(completed: int, failed: int) -> Fraction:
    """Return the share of ended runs that completed; 100 before the first."""
    ended = completed + failed
    return Fraction(100 * completed, ended) if ended else Fraction(100)


def uptime_percent(heartbeats_of_7_days: int) -> Fraction:
    """Return the share of a week's heartbeats that were received, at most 100."""
    return min(Fraction(100 * heartbeats_of_7_days, HEARTBEATS_PER_WEEK), Fraction(100))


def uptime_percent_of_day(heartbeats_of_24_hours: float) -> float:
    """Return the share of a day's heartbeats that were received, 0 to 100 with one decimal."""
    # 100 % of a seventh of a week's beats.
    return min(100.0, round(heartbeats_of_24_hours * 700 / HEARTBEATS_PER_WEEK, 1))


# Asked for each provider with each of its beats, and every time it is placed; its answer changes twice a minute.
@lru_cache(maxsize=65_536)
def reputation(completed: int, failed: int, heartbeats_of_7_days: int, account_days: int) -> int:
    """Return the score of a provider, 0 to 100, rounded half up."""
    longevity = min(Fraction(100 * account_days, LONGEVITY_DAYS), Fraction(100))
    score = (7 * success_percent(completed, failed) + 2 * uptime_percent(heartbeats_of_7_days) + longevity) / 10
    return math.floor(score + Fraction(1, 2))


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
