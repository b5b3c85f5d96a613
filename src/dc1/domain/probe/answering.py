"""A machine's side of a probe: the chain of a round, its trees, and the leaves that are asked for."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from dc1.domain.probe import generation
from dc1.domain.probe.commitment import Tree
from dc1.domain.probe.rounds import LEAF_BYTES, Kind, LeafRef, Round


class Library(Protocol):
    """What multiplies. Bytes go in and come out, so that a GPU's arrays stay its own business."""

    @property
    def integer_products(self) -> bool:
        """Whether it multiplies integers as such, as far as it has done so by now."""
        ...

    def load_matrix(self, matrix: bytes) -> None:
        """Take the matrix of a round."""
        ...

    def step(self, tags: bytes, filling: bytes) -> bytes:
        """Take all rows through a step and return their tags."""
        ...

    def load_table(self, seed: bytes, rows: int) -> None:
        """Make the table of the memory rounds."""
        ...

    def read_table(self, vector: bytes) -> bytes:
        """Multiply the table by a vector and return the tags of its rows."""
        ...


class Answer:
    """One round, computed: what it commits to, and what it can open."""

    def __init__(self, library: Library, of: Round, seed: bytes) -> None:
        self._kept: list[tuple[bytes, Tree]] = []
        root = b""
        if of.kind is Kind.PRODUCTS:
            library.load_matrix(generation.matrix(seed))
            tags = generation.first_tags(seed, of.rows)
        for step in range(of.steps):
            if of.kind is Kind.PRODUCTS:
                tags = library.step(tags, generation.filling(seed, step, root))
            else:
                tags = library.read_table(generation.vector(seed, step, root))
            tree = Tree(step, _leaves(tags))
            self._kept.append((tags, tree))
            root = tree.root

    @property
    def roots(self) -> list[bytes]:
        """The root of every step."""
        return [tree.root for _, tree in self._kept]

    def leaf(self, ref: LeafRef) -> tuple[bytes, Sequence[bytes]]:
        """Return a leaf and its path."""
        tags, tree = self._kept[ref.step]
        return tags[ref.leaf * LEAF_BYTES : (ref.leaf + 1) * LEAF_BYTES], tree.path(ref.leaf)

    def leaves(self, refs: Iterable[LeafRef]) -> list[tuple[LeafRef, bytes, Sequence[bytes]]]:
        """Return the leaves that are asked for."""
        return [(ref, *self.leaf(ref)) for ref in refs]


def _leaves(tags: bytes) -> list[bytes]:
    return [tags[at : at + LEAF_BYTES] for at in range(0, len(tags), LEAF_BYTES)]
