"""Opened cells are computed again, and a round in which one of them is wrong proves nothing."""

from collections.abc import Mapping, Sequence

from dc1.domain.probe import arithmetic, generation
from dc1.domain.probe.commitment import OpenedLeaf, leads_to
from dc1.domain.probe.rounds import LEAF_BYTES, Cell, Kind, LeafRef, Round, leaves_of


def cells_fault(
    of: Round,
    seed: bytes,
    table_seed: bytes,
    roots: Sequence[bytes],
    cells: tuple[Cell, ...],
    opened: Sequence[OpenedLeaf],
) -> str | None:
    """Return what is wrong about the opened cells of a round, None when they were computed from its seed."""
    leaves = {leaf.ref: leaf for leaf in opened}
    for ref in leaves_of(of, cells):
        leaf = leaves.get(ref)
        if leaf is None or len(leaf.content) != LEAF_BYTES or len(leaf.path) != of.leaves.bit_length() - 1:
            return "it did not open what it was asked for"
        if not leads_to(roots[ref.step], ref.step, ref.leaf, leaf.content, leaf.path):
            return "what it opened is not what it committed to"
    said = [_tag(of, leaves, cell.step, cell.row) for cell in cells]
    right = (
        _products(of, seed, roots, cells, leaves)
        if of.kind is Kind.PRODUCTS
        else _passes(seed, table_seed, roots, cells)
    )
    return None if said == right else "a row that it opened is wrong"


def _tag(of: Round, leaves: Mapping[LeafRef, OpenedLeaf], step: int, row: int) -> bytes:
    index, place = divmod(row, of.rows_of_leaf)
    content = leaves[LeafRef(step, index)].content
    return content[place * of.tag_bytes : (place + 1) * of.tag_bytes]


def _products(
    of: Round, seed: bytes, roots: Sequence[bytes], cells: tuple[Cell, ...], leaves: Mapping[LeafRef, OpenedLeaf]
) -> list[bytes]:
    first = generation.first_tags(seed, of.rows)
    size = of.tag_bytes
    tags = b"".join(
        _tag(of, leaves, cell.step - 1, cell.row) if cell.step else first[cell.row * size : (cell.row + 1) * size]
        for cell in cells
    )
    filling = b"".join(generation.filling(seed, cell.step, _before(roots, cell.step)) for cell in cells)
    # All at once, whatever their steps: one matrix is in all of them, and it is read from memory once a product.
    came = arithmetic.step_of(
        arithmetic.matrix(seed),
        arithmetic.signed(tags, len(cells), size),
        arithmetic.signed(filling, len(cells), len(filling) // len(cells)),
    )
    return [row.tobytes() for row in came]


def _passes(seed: bytes, table_seed: bytes, roots: Sequence[bytes], cells: tuple[Cell, ...]) -> list[bytes]:
    rows = arithmetic.table_rows(table_seed, [cell.row for cell in cells])
    right = []
    for row, cell in zip(rows, cells, strict=True):
        vector = arithmetic.signed(generation.vector(seed, cell.step, _before(roots, cell.step)), rows.shape[1])
        right.append(arithmetic.table_tags((row * vector).sum(keepdims=True)))
    return right


def _before(roots: Sequence[bytes], step: int) -> bytes:
    return roots[step - 1] if step else b""
