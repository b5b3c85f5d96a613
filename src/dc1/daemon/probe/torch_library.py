"""PyTorch, by whose integer products a GPU is probed at what it is sold for."""

import importlib
from typing import Any

import numpy as np

from dc1.domain.probe import arithmetic
from dc1.domain.probe.rounds import DEPTH, TABLE_COLUMNS, TAG_BYTES, WIDTH


class TorchLibrary:
    """Multiplies on one device of PyTorch: `cuda`, or `cpu` where its arithmetic is to be compared."""

    def __init__(self, device: str = "cuda") -> None:
        self._torch: Any = importlib.import_module("torch")
        if device == "cuda" and not self._torch.cuda.is_available():
            raise ImportError("torch sees no CUDA device")
        self._device = device
        self._matrix: Any = None
        self._floats: Any = None
        self._table: Any = None
        self.integer_products = hasattr(self._torch, "_int_mm")

    def load_matrix(self, matrix: bytes) -> None:
        """Take the matrix of a round."""
        loaded = self._load(arithmetic.signed(matrix, WIDTH, WIDTH))
        # By columns: the only order that cards have integer products for.
        self._matrix = loaded.t().contiguous().t()
        self._floats = loaded.to(self._torch.float32)

    def step(self, tags: bytes, filling: bytes) -> bytes:
        """Take all rows through a step."""
        count = len(tags) // TAG_BYTES
        rows = self._torch.empty((count, WIDTH), dtype=self._torch.int8, device=self._device)
        rows[:, :TAG_BYTES] = self._load(arithmetic.signed(tags, count, TAG_BYTES))
        rows[:, TAG_BYTES:] = self._load(arithmetic.signed(filling, len(filling)))
        for _ in range(DEPTH):
            parts = self._product(rows).view(self._torch.int8).view(count, WIDTH, 4)
            self._torch.bitwise_xor(parts[..., 0], parts[..., 1], out=rows)
        return bytes(rows[:, :TAG_BYTES].contiguous().cpu().numpy().tobytes())

    def _product(self, rows: Any) -> Any:
        if self.integer_products:
            try:
                return self._torch._int_mm(rows, self._matrix)
            except RuntimeError:
                # Older cards have none, which the first product tells, before anything is timed.
                self.integer_products = False
        # In floats these sums are exact as well.
        return (rows.to(self._torch.float32) @ self._floats).to(self._torch.int32)

    def load_table(self, seed: bytes, rows: int) -> None:
        """Make the table of the memory rounds."""
        self._table = self._torch.empty((rows, TABLE_COLUMNS), dtype=self._torch.float64, device=self._device)
        for place, part in arithmetic.table_parts(seed, rows):
            self._table[place] = self._load(part)

    def read_table(self, vector: bytes) -> bytes:
        """Multiply the table by a vector."""
        by = self._load(arithmetic.signed(vector, TABLE_COLUMNS).astype(np.float64))
        return arithmetic.table_tags((self._table @ by).cpu().numpy())

    def _load(self, array: Any) -> Any:
        # A copy: torch writes into what it takes over, and bytes are not to be written.
        return self._torch.from_numpy(array.copy()).to(self._device)
