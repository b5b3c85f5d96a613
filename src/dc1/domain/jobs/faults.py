"""Whose fault the end of a run was, and what follows from it: for money, for reputation and for the job."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from dc1.domain.jobs.states import Actor, ErrorCategory

DEADLINE_SLACK_MS = 10_000
"""How much earlier than the server's clock a daemon may find a deadline reached: clocks and networks differ."""


class Fault(StrEnum):
    """Who has to answer for a run that came to nothing."""

    RENTER = "renter"
    PROVIDER = "provider"
    MARKET = "market"


@dataclass(frozen=True, slots=True)
class Consequence:
    """What follows from a fault.

    `charged` means the time used, at most the quote; without it everything goes back. `counts` is for the provider's
    reputation.
    """

    charged: bool
    counts: bool


CONSEQUENCES: Mapping[Fault, Consequence] = {
    Fault.RENTER: Consequence(charged=True, counts=False),
    Fault.PROVIDER: Consequence(charged=False, counts=True),
    Fault.MARKET: Consequence(charged=False, counts=False),
}

FAULTS: Mapping[ErrorCategory, Fault] = {
    ErrorCategory.EXECUTION: Fault.RENTER,
    ErrorCategory.INVALID_RESULT: Fault.RENTER,
    ErrorCategory.OOM: Fault.RENTER,
    ErrorCategory.TIMEOUT: Fault.RENTER,
    ErrorCategory.INVALID_PARAMS: Fault.RENTER,
    ErrorCategory.IMAGE_PULL: Fault.PROVIDER,
    ErrorCategory.CREATE: Fault.PROVIDER,
    ErrorCategory.ENGINE: Fault.PROVIDER,
    ErrorCategory.ENGINE_BUSY: Fault.MARKET,
    ErrorCategory.DRIVER: Fault.PROVIDER,
    ErrorCategory.DISK: Fault.PROVIDER,
    ErrorCategory.GPU_LOST: Fault.PROVIDER,
    ErrorCategory.NO_RESULT: Fault.PROVIDER,
    ErrorCategory.PROVIDER_DISCONNECT: Fault.PROVIDER,
    ErrorCategory.QUEUE_TIMEOUT: Fault.MARKET,
    ErrorCategory.SERVER_STOP: Fault.MARKET,
    ErrorCategory.OPERATOR: Fault.MARKET,
}
"""Whose fault a category is when what was seen of the run bears it out."""


# The caller of a call brought none: what its engine does wrong is the provider's, and the tokens that came are free.
_OF_PROGRAMS = frozenset({ErrorCategory.EXECUTION, ErrorCategory.OOM, ErrorCategory.INVALID_RESULT})


@dataclass(frozen=True, slots=True)
class Seen:
    """What the server itself saw of a run.

    `worked` is set when it saw a phase beyond loading, a log line, a token or an endpoint; `reached_deadline` by the
    server's clock, and `is_call` of a call under /v1.
    """

    worked: bool
    reached_deadline: bool = False
    is_call: bool = False


def fault_of_failure(category: ErrorCategory, exit_code: int | None, actor: Actor, seen: Seen) -> Fault:
    """Return whose fault a reported failure is. What a daemon says is held against what was seen of the run.

    It may always take the blame. To put it on the renter it needs a run that was seen working and, by category, an exit
    code other than 0 or a deadline that has come; a refusal of parameters needs none, for it comes before any work and
    is therefore paid nothing, and neither does an engine that is busy: it earns nothing.
    """
    if actor is not Actor.PROVIDER:
        return Fault.MARKET
    said = FAULTS[category]
    if seen.is_call and category in _OF_PROGRAMS:
        return Fault.PROVIDER
    if said is Fault.PROVIDER or category in (ErrorCategory.INVALID_PARAMS, ErrorCategory.ENGINE_BUSY):
        return said
    borne_out = seen.worked
    if category is ErrorCategory.EXECUTION:
        borne_out = borne_out and exit_code not in (None, 0)
    elif category is ErrorCategory.TIMEOUT:
        borne_out = borne_out and seen.reached_deadline
    # What only the server can know (a queue's deadline, its own stop) is nothing that a daemon can report.
    return Fault.RENTER if borne_out and said is Fault.RENTER else Fault.PROVIDER


def fault_of_cancel(actor: Actor) -> Fault:
    """Return whose wish a cancellation was."""
    return Fault.RENTER if actor is Actor.RENTER else Fault.MARKET
