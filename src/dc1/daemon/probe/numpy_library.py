"""Numpy, by which a machine without a GPU is probed."""

import numpy as np

from dc1.domain.probe import arithmetic
from dc1.domain.probe.rounds import TABLE_COLUMNS, TAG_BYTES, WIDTH


class NumpyLibrary:
    """Multiplies on the CPU, on as many of its cores as numpy takes."""

    def __init__(self) -> None:
        self._matrix: arithmetic.Floats = np.empty((0, 0))
        self._table: arithmetic.Floats = self._matrix

    def load_matrix(self, matrix: bytes) -> None:
        """Take the matrix of a round."""
        self._matrix = arithmetic.signed(matrix, WIDTH, WIDTH).astype(np.float32)

    def step(self, tags: bytes, filling: bytes) -> bytes:
        """Take all rows through a step."""
        rows = arithmetic.signed(tags, len(tags) // TAG_BYTES, TAG_BYTES)
        return arithmetic.step_of(self._matrix, rows, arithmetic.signed(filling, len(filling))).tobytes()

    def load_table(self, seed: bytes, rows: int) -> None:
        """Make the table of the memory rounds."""
        self._table = arithmetic.table(seed, rows)

    def read_table(self, vector: bytes) -> bytes:
        """Multiply the table by a vector."""
        return arithmetic.table_tags(self._table @ arithmetic.signed(vector, TABLE_COLUMNS).astype(np.float64))
