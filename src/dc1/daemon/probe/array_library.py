"""Numpy on the CPU, or CuPy on the GPU, which speaks like it: one program for both."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from dc1.domain.probe import arithmetic
from dc1.domain.probe.rounds import TABLE_COLUMNS, TAG_BYTES, WIDTH


class ArrayLibrary:
    """Multiplies by `library`, whose arrays `fetch` turns into those of numpy, on so many threads.

    Rows are nobody's neighbours within a step, so that each thread takes its own through all products of it. Numpy's
    own threads would meet after each product, and spin until the last is there: on a machine that has anything else to
    do they take four times as long.
    """

    # Both have exact products of so many integers in floats only.
    integer_products = False

    def __init__(self, library: Any, fetch: Callable[[Any], Any], threads: int = 1) -> None:
        self._library = library
        self._fetch = fetch
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="probe")
        self._matrix: Any = None
        self._table: Any = None

    def load_matrix(self, matrix: bytes) -> None:
        """Take the matrix of a round."""
        self._matrix = self._library.asarray(arithmetic.signed(matrix, WIDTH, WIDTH).astype(np.float32))

    def step(self, tags: bytes, filling: bytes) -> bytes:
        """Take all rows through a step."""
        rows = self._library.asarray(arithmetic.signed(tags, len(tags) // TAG_BYTES, TAG_BYTES))
        behind = self._library.asarray(arithmetic.signed(filling, len(filling)))

        def taken(part: slice) -> bytes:
            came = arithmetic.step_of(self._matrix, rows[part], behind, self._library)
            return bytes(self._fetch(came).tobytes())

        return b"".join(self._pool.map(taken, self._parts(len(rows))))

    def _parts(self, rows: int) -> Iterator[slice]:
        size = -(-rows // self._threads)
        return (slice(first, first + size) for first in range(0, rows, size))

    def load_table(self, seed: bytes, rows: int) -> None:
        """Make the table of the memory rounds."""
        self._table = self._library.empty((rows, TABLE_COLUMNS), np.float64)
        for place, part in arithmetic.table_parts(seed, rows):
            self._table[place] = self._library.asarray(part)

    def read_table(self, vector: bytes) -> bytes:
        """Multiply the table by a vector."""
        by = self._library.asarray(arithmetic.signed(vector, TABLE_COLUMNS).astype(np.float64))

        def read(part: slice) -> bytes:
            return arithmetic.table_tags(self._fetch(self._table[part] @ by))

        return b"".join(self._pool.map(read, self._parts(len(self._table))))
