"""Commitments are Merkle trees over the tags of a step: a root says nothing of them and binds to all."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from dc1.domain.probe.rounds import LeafRef, Round

ROOT_BYTES = 32


@dataclass(frozen=True, slots=True)
class OpenedLeaf:
    """A leaf as a daemon opened it; `path` are the neighbours on the way to its root."""

    ref: LeafRef
    content: bytes
    path: tuple[bytes, ...]


def _leaf(step: int, index: int, content: bytes) -> bytes:
    # A leaf knows its place, so that none stands for another; the first byte keeps leaves and nodes apart.
    return hashlib.sha256(b"\0" + step.to_bytes(4, "big") + index.to_bytes(4, "big") + content).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


class Tree:
    """The tree over the leaves of one step, whose number is a power of two."""

    def __init__(self, step: int, leaves: Sequence[bytes]) -> None:
        level = [_leaf(step, index, content) for index, content in enumerate(leaves)]
        self._levels = [level]
        while len(level) > 1:
            level = [_node(level[i], level[i + 1]) for i in range(0, len(level), 2)]
            self._levels.append(level)

    @property
    def root(self) -> bytes:
        """What is committed to."""
        return self._levels[-1][0]

    def path(self, index: int) -> tuple[bytes, ...]:
        """Return the neighbours on the way from a leaf to the root."""
        return tuple(level[(index >> height) ^ 1] for height, level in enumerate(self._levels[:-1]))


def leads_to(root: bytes, step: int, index: int, content: bytes, path: Sequence[bytes]) -> bool:
    """Tell whether a leaf with its path belongs to a root."""
    digest = _leaf(step, index, content)
    for height, neighbour in enumerate(path):
        digest = _node(neighbour, digest) if (index >> height) & 1 else _node(digest, neighbour)
    # An index beyond the path would be one of another, larger tree.
    return index >> len(path) == 0 and digest == root


def roots_fault(of: Round, roots: Sequence[bytes]) -> str | None:
    """Return what is wrong about the roots of a round by their form, None when nothing is."""
    if len(roots) != of.steps or any(len(root) != ROOT_BYTES for root in roots):
        return "it did not commit to every step"
    return None
