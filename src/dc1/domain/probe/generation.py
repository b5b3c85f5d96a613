"""Every number of a probe comes from its seed: bytes of SHAKE-128, the same on every machine and in every library."""

import hashlib

from dc1.domain.probe.rounds import TABLE_COLUMNS, TAG_BYTES, WIDTH


def _stream(purpose: str, seed: bytes, size: int, *parts: bytes) -> bytes:
    # The lengths stand before the parts, so that no two purposes or parts run into the same bytes.
    words = (purpose.encode(), seed, *parts)
    return hashlib.shake_128(b"".join(len(word).to_bytes(4, "big") + word for word in words)).digest(size)


def matrix(seed: bytes) -> bytes:
    """Return the square matrix of all products of a round, row by row, a signed byte each."""
    return _stream("dc1 probe matrix", seed, WIDTH * WIDTH)


def first_tags(seed: bytes, rows: int) -> bytes:
    """Return what the rows of the first step differ by."""
    return _stream("dc1 probe rows", seed, rows * TAG_BYTES)


def filling(seed: bytes, step: int, root: bytes) -> bytes:
    """Return what all rows of a step have behind their tags, by the root of the step before; empty for the first."""
    return _stream("dc1 probe filling", seed, WIDTH - TAG_BYTES, step.to_bytes(4, "big"), root)


def table_row(seed: bytes, row: int) -> bytes:
    """Return a row of the table: little-endian signed integers of 64 bits, of which the upper 36 are taken."""
    return _stream("dc1 probe table", seed, TABLE_COLUMNS * 8, row.to_bytes(4, "big"))


def vector(seed: bytes, step: int, root: bytes) -> bytes:
    """Return what the table is multiplied by, a signed byte each, by the root of the pass before."""
    return _stream("dc1 probe vector", seed, TABLE_COLUMNS, step.to_bytes(4, "big"), root)
