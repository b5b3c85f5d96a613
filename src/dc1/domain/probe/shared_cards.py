"""One card behind two machines: measured at the same time, they do together what it does alone."""

from collections.abc import Sequence
from dataclasses import dataclass

MOST_OF_ONE_CARD = 1.25
"""Cards that were at work, by what came of it: one is one, and two are nearly two."""

FEWEST_TO_TELL = 1.6
"""Rounds of very different lengths hardly overlap, so that one card and two take about as long."""


@dataclass(frozen=True, slots=True)
class SideBySide:
    """A round that began at the same time as another machine's: how long it took, and would have taken alone."""

    seconds: float
    alone_seconds: float


def is_one_card(rounds: Sequence[SideBySide]) -> bool:
    """Tell whether rounds that began together may be the work of one card.

    By the time of the last one: a card may take them in turns, so that the first is as fast as ever, or by halves.
    """
    work = sum(each.alone_seconds for each in rounds)
    can_tell = work >= FEWEST_TO_TELL * max(each.alone_seconds for each in rounds)
    return can_tell and work <= MOST_OF_ONE_CARD * max(each.seconds for each in rounds)
