"""The arithmetic of a probe in numpy: what the server checks by, and what a machine without a GPU is probed with.

Floats only carry integers here, and none that they cannot hold exactly, so that the order of additions and with it the
library and the device make no difference.
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from dc1.domain.probe import generation
from dc1.domain.probe.rounds import DEPTH, TABLE_COLUMNS, TAG_BYTES, WIDTH

Bytes: TypeAlias = npt.NDArray[np.int8]
Floats: TypeAlias = npt.NDArray[np.floating[Any]]

# Of 64 bits those stay whose sum of 1024 products with a byte is below 2**53, where floats begin to leave out integers.
_TABLE_SHIFT = 28
_ROWS_AT_ONCE = 1024


def matrix(seed: bytes) -> Floats:
    """Return the matrix of a round."""
    return np.frombuffer(generation.matrix(seed), np.int8).reshape(WIDTH, WIDTH).astype(np.float32)


def step_of(by: Floats, tags: Bytes, filling: Bytes, library: Any = np) -> Bytes:
    """Take rows through a step and return their tags; `tags` and `filling` may be of several steps, a row each.

    `library` is numpy, or one that speaks like it, whose arrays the others are.
    """
    wide = library.broadcast_to(filling, (len(tags), WIDTH - TAG_BYTES))
    rows = library.concatenate([tags, wide], axis=1)
    for _ in range(DEPTH):
        sums = (rows.astype(np.float32) @ by).astype(np.int32)
        # The two lowest bytes of each sum as one: no linear function of it, so that products do not merge.
        parts = sums.view(np.int8).reshape(len(tags), WIDTH, 4)
        rows = parts[..., 0] ^ parts[..., 1]
    last: Bytes = rows[:, :TAG_BYTES]
    return last


def table_rows(seed: bytes, rows: Sequence[int]) -> Floats:
    """Return some rows of the table that the passes of a memory round read."""
    words = b"".join(generation.table_row(seed, row) for row in rows)
    return (np.frombuffer(words, "<i8").reshape(len(rows), TABLE_COLUMNS) >> _TABLE_SHIFT).astype(np.float64)


def table_parts(seed: bytes, rows: int) -> Iterator[tuple[slice, Floats]]:
    """Yield the table in parts of 8 MiB, each with its place: of a whole there would be two at a time."""
    for first in range(0, rows, _ROWS_AT_ONCE):
        part = range(first, min(rows, first + _ROWS_AT_ONCE))
        yield slice(part.start, part.stop), table_rows(seed, part)


def table_tags(sums: Floats) -> bytes:
    """Return what is committed to of a pass: all bytes of each sum in two of them."""
    parts = sums.astype("<i8").view("<i2").reshape(-1, 4)
    tags: npt.NDArray[np.int16] = parts[:, 0] ^ parts[:, 1] ^ parts[:, 2] ^ parts[:, 3]
    return tags.tobytes()


def signed(data: bytes, *shape: int) -> Bytes:
    """Return bytes as the numbers -128 to 127."""
    return np.frombuffer(data, np.int8).reshape(shape)
