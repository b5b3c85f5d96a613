"""Rounds are the timed parts of a probe: their kinds, their sizes, and what they are worth.

A round of *products* is a chain: each of its steps takes `rows` rows through `DEPTH` products with one matrix, every
product folded to bytes before the next, so that no power of the matrix stands in for the chain. What a step starts from
is made of the whole result of the step before (its root), so that steps cannot be done side by side or left out.
A round of *memory* multiplies a table, too large for a cache, by a vector that is known only once the pass before it is
committed to.

What a cheat may hope for: of each checked round `CELLS` cells (a step and a row of it) are opened at random. Who left
out or made up a share `f` of all cells is found out with probability 1 - (1 - f) ** CELLS: 92 % for a tenth, all but
one in 16 million for a half. The first and the last product of a step can be had for less (only a tag goes in and out),
so they are not counted. A table can be packed to 36 of its 64 bits, so the memory figure can be made to look up to 1.8
times as good by a program written for it; the products have no such freedom. Who passes the work on to another machine
of the same owner answers for one of them only: machines that report from one address are probed at the same time.
"""

import secrets
from dataclasses import dataclass
from enum import StrEnum

from dc1.domain.providers.measurements import Device

WIDTH = 512
"""Columns of the rows and of the square matrix: sums of so many products of bytes are exact in 32-bit floats, too."""

DEPTH = 32
"""Products of a step."""

TAG_BYTES = 16
"""What of a row is committed to after a step, and carried into the next one."""

TABLE_COLUMNS = 1024
TABLE_TAG_BYTES = 2
LEAF_BYTES = 2048
CELLS = 24
"""How many are opened of a checked round."""

MAX_KEPT_BYTES = 512 * 1024 * 1024
MAX_STEPS = 4096
"""Of no round is there more, neither asked for nor computed."""

_GIGA, _TERA = 1e9, 1e12
# Long against what the network and the commitments take, short against what a job may have to wait for.
_GOAL_SECONDS = {Device.CPU: 0.8, Device.GPU: 1.2}


class Kind(StrEnum):
    """What of a machine a round is bound by."""

    PRODUCTS = "products"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class Round:
    """What is done before the clock stops; `rows` is a power of two of at least one leaf."""

    kind: Kind
    rows: int
    steps: int

    @property
    def tag_bytes(self) -> int:
        """What is committed to of a row."""
        return TAG_BYTES if self.kind is Kind.PRODUCTS else TABLE_TAG_BYTES

    @property
    def rows_of_leaf(self) -> int:
        """How many rows stand in a leaf."""
        return LEAF_BYTES // self.tag_bytes

    @property
    def leaves(self) -> int:
        """How many leaves the tree of a step has."""
        return self.rows // self.rows_of_leaf

    def score(self, seconds: float) -> float:
        """Return trillions of operations, or gigabytes read, a second."""
        if self.kind is Kind.PRODUCTS:
            # A multiplication and an addition for each; without what can be done for less.
            return 2 * self.rows * WIDTH * WIDTH * (DEPTH - 2) * self.steps / seconds / _TERA
        return self.rows * TABLE_COLUMNS * 8 * self.steps / seconds / _GIGA


_ROWS = {
    (Device.CPU, Kind.PRODUCTS): 1024,
    (Device.GPU, Kind.PRODUCTS): 65_536,
    # 128 and 256 MiB: beyond the caches of nearly all of them, and soon made.
    (Device.CPU, Kind.MEMORY): 16_384,
    (Device.GPU, Kind.MEMORY): 32_768,
}
_FIRST_STEPS = {
    (Device.CPU, Kind.PRODUCTS): 1,
    (Device.GPU, Kind.PRODUCTS): 16,
    (Device.CPU, Kind.MEMORY): 2,
    (Device.GPU, Kind.MEMORY): 16,
}


def first_round(device: Device, kind: Kind) -> Round:
    """Return the round by which the one that counts is sized."""
    return Round(kind, _ROWS[device, kind], _FIRST_STEPS[device, kind])


def sized_round(device: Device, first: Round, seconds: float) -> Round:
    """Return the round that counts, for a machine that took `seconds` for the first one."""
    goal = _GOAL_SECONDS[device]
    most = min(MAX_STEPS, MAX_KEPT_BYTES // (first.rows * first.tag_bytes))
    return Round(first.kind, first.rows, max(2, min(most, int(first.steps * goal / max(seconds, 1e-3)))))


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One row of one step."""

    step: int
    row: int


@dataclass(frozen=True, slots=True, order=True)
class LeafRef:
    """One leaf of the tree of a step."""

    step: int
    leaf: int


def random_cells(of: Round) -> tuple[Cell, ...]:
    """Return cells that nobody can foresee."""
    return tuple(Cell(secrets.randbelow(of.steps), secrets.randbelow(of.rows)) for _ in range(CELLS))


def leaves_of(of: Round, cells: tuple[Cell, ...]) -> tuple[LeafRef, ...]:
    """Return the leaves that have to be opened to check cells: where each comes out, and where it went in."""
    refs = set()
    for cell in cells:
        refs.add(LeafRef(cell.step, cell.row // of.rows_of_leaf))
        # The first step starts from the seed; a pass over the table needs no row of the pass before it.
        if of.kind is Kind.PRODUCTS and cell.step > 0:
            refs.add(LeafRef(cell.step - 1, cell.row // of.rows_of_leaf))
    return tuple(sorted(refs))
