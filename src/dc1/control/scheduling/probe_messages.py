"""What a server and a daemon say to each other in a probe, as plain values."""

from dataclasses import dataclass
from typing import TypeAlias

from dc1.domain.probe.commitment import OpenedLeaf
from dc1.domain.probe.rounds import LeafRef, Round
from dc1.domain.providers.measurements import Device


@dataclass(frozen=True, slots=True)
class Prepare:
    """Load a library and make the table."""

    probe_id: str
    table_seed: bytes


@dataclass(frozen=True, slots=True)
class Begin:
    """Compute a round: the clock runs."""

    probe_id: str
    number: int
    of: Round
    seed: bytes


@dataclass(frozen=True, slots=True)
class Open:
    """Open leaves of a round that is computed."""

    probe_id: str
    number: int
    leaves: tuple[LeafRef, ...]


@dataclass(frozen=True, slots=True)
class End:
    """Forget the probe; `outcome` is for people."""

    probe_id: str
    outcome: str


ProbeMessage: TypeAlias = Prepare | Begin | Open | End
"""What the server says."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The daemon is prepared."""

    device: Device
    integer_products: bool = False


@dataclass(frozen=True, slots=True)
class Roots:
    """A round is computed: the clock stops."""

    number: int
    roots: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Leaves:
    """What was asked for of a round."""

    number: int
    leaves: tuple[OpenedLeaf, ...]


@dataclass(frozen=True, slots=True)
class Unable:
    """The daemon cannot go on; the reason is its own words."""

    reason: str


Said: TypeAlias = Ready | Roots | Leaves | Unable
"""What the daemon says."""
