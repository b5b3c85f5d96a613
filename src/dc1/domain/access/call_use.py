"""What was used of the limits of /v1 at one server, as it tells the others."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CallUse:
    """Calls and tokens that a renter or key used since it was last told, and how many streams it has open there.

    The limits a minute are told with it, 0 where there is none: who was never heard of has them looked up nowhere else.
    """

    replica: str
    subject: str
    requests: int
    tokens: int
    streams: int
    requests_limit: int
    tokens_limit: int
