"""A measurement is what a probe proved of a machine, as against what its owner claims and its daemon reports."""

from dataclasses import dataclass
from enum import StrEnum


class Device(StrEnum):
    """What of a machine was measured."""

    GPU = "gpu"
    CPU = "cpu"


@dataclass(frozen=True, slots=True)
class Measurement:
    """Proved figures of a machine's first GPU, or of its processor where it has none.

    `tops_int8` is a trillion integer operations a second, `memory_gbps` gigabytes a second, both by the server's clock.
    They are floors: what the network and the daemon took is in the time. Without `integer_products` its daemon says
    that it multiplied by floats, in which a GPU does less than its data sheet says of integers: advice for its owner,
    no excuse.
    `slowed_by` is what its report said meanwhile that may have kept it from its best, in words.
    """

    tops_int8: float
    memory_gbps: float
    device: Device
    probed_at_ms: int
    integer_products: bool = False
    slowed_by: str | None = None
