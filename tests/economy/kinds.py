"""Who takes part: the honest, and the ways of each side to have something for nothing."""

from enum import StrEnum


class RenterKind(StrEnum):
    """How a renter's jobs end, and what it does about them."""

    HONEST = "honest"
    """Its program ends by itself, with 0."""
    EXITS_1 = "exits 1 after the work"
    CANCELS = "cancels when the work is done"
    COMPLETES_BY_HAND = "declares the job complete before the machine does"
    NEVER_ENDS = "lets the program run into the deadline"
    BAD_PARAMS = "orders what only the runner can refuse"
    STARTER_CREDIT = "spends starter credit at a friend's machine, with a new account for each job"


class OwnerKind(StrEnum):
    """What a machine does with the jobs it is given."""

    HONEST = "honest"
    IDLES = "accepts and shows nothing until the deadline"
    HANDS_NOTHING_BACK = "completes at once with nothing"
    MADE_UP_RESULT = "completes at once with something made up"
    INFLATES = "reports ten times the seconds"
    LOSES = "stops half-way and is not heard of any more"
    BLAMES = "shows a sign of work, does none, and reports the program's exit 1 at the end"
    SITS = "shows a sign of work and sits until the deadline"
    OVERSTATES = "reports an H100 and has a processor, whose figures no H100 can have"
    UNDERPERFORMS = "reports an H100 and does what a T4 does, which a throttled H100 might"
    FRIEND = "runs jobs that a friend pays with starter credit, and withdraws"


RENTER_CHEATS = tuple(kind for kind in RenterKind if kind not in {RenterKind.HONEST, RenterKind.STARTER_CREDIT})
OWNER_CHEATS = tuple(kind for kind in OwnerKind if kind not in {OwnerKind.HONEST, OwnerKind.FRIEND})
ALERTED = frozenset({OwnerKind.BLAMES, OwnerKind.SITS, OwnerKind.UNDERPERFORMS})
"""Told of by an alert, on which an operator acts: each run of the first two looks as a renter's fault does, and only
many of them tell; the last one may be a sick card, which is priced as a sound one and taken after its equals."""
