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
    EVADES_ITS_BUDGET = "orders at once as much as fits twice into what is left of its month"
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
    FLOATS = "reports an H100, does what a T4 does in floats, and says that it has no others"
    SHARES_A_CARD = "reports an H100 that is another machine's, too"
    THROTTLED = "has an RTX 4090 that is throttled to a twentieth, and reports it"
    FRIEND = "runs jobs that a friend pays with starter credit, and withdraws"


RENTER_CHEATS = tuple(kind for kind in RenterKind if kind not in {RenterKind.HONEST, RenterKind.STARTER_CREDIT})
HONEST_OWNERS = (OwnerKind.HONEST, OwnerKind.THROTTLED)
OWNER_CHEATS = tuple(kind for kind in OwnerKind if kind not in {*HONEST_OWNERS, OwnerKind.FRIEND})
ALERTED = frozenset({OwnerKind.BLAMES, OwnerKind.SITS, OwnerKind.MADE_UP_RESULT})
"""Told of by an alert, on which an operator acts: each of their runs looks as a renter's fault does, and only many of
them tell."""

H100, RTX_4090 = "NVIDIA H100 80GB HBM3", "NVIDIA GeForce RTX 4090"
MODELS = dict.fromkeys((OwnerKind.OVERSTATES, OwnerKind.UNDERPERFORMS, OwnerKind.FLOATS, OwnerKind.SHARES_A_CARD), H100)
MEASURED = {
    OwnerKind.OVERSTATES: (0.5, 9.0),
    OwnerKind.UNDERPERFORMS: (110.0, 280.0),
    OwnerKind.FLOATS: (8.0, 280.0),
    OwnerKind.THROTTLED: (25.0, 900.0),
}
"""Trillions of operations and gigabytes of memory a second, by a probe."""

WORTH_PCT = {OwnerKind.UNDERPERFORMS: 40, OwnerKind.FLOATS: 40, OwnerKind.THROTTLED: 45}
"""The factor of what it really has, where that is no RTX 4090 and no processor: a T4, and what does as little."""
