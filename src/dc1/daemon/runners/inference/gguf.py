"""The head of a GGUF file: what its maker says of the model in it."""

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dc1.daemon.errors import DaemonError

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
# The vocabulary follows the general facts, and it alone is megabytes.
_LAST_GROUP = "tokenizer."
# How the vectors of a text's tokens become one: what makes no vectors says nothing of it.
_POOLING = ".pooling_type"
_HEAD_BYTES = 8
_ALIGNMENT = 32
_UNREADABLE = "The model {} cannot be read: {}."
_DAMAGED = "{} is a GGUF file that is damaged; was it downloaded as a whole?"
_MOST_ENTRIES = 4_096
_MOST_STRING_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Head:
    """The name of a model, its maker's or else the file's, and whether it was made to turn texts into vectors."""

    name: str
    makes_vectors: bool


def head(path: Path) -> Head:
    """Return what is read of a file.

    Raises:
        DaemonError: there is no such file, or it is none of llama.cpp's.
    """
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            # A pipe would be waited for, for as long as nobody writes to it.
            raise DaemonError(f"{path} is no file.")
        with path.open("rb") as file:
            if file.read(4) != _MAGIC or _scalar(file, "I") not in _VERSIONS:
                raise DaemonError(f"{path} is no GGUF file; llama.cpp and its kind read nothing else.")
            return _head(file, path.stem)
    except OSError as error:
        raise DaemonError(_UNREADABLE.format(path, error.strerror or error)) from None
    except (struct.error, UnicodeDecodeError, OverflowError):
        raise DaemonError(_DAMAGED.format(path)) from None


def require_whole(path: Path) -> None:
    """Look whether a file has all that its head tells of: of one that was cut off llama.cpp says nothing to anybody.

    Raises:
        DaemonError: it ends before its last tensor begins, or cannot be read.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            is_whole = _last_tensor(data) < len(data)
    except OSError as error:
        # Some file systems map nothing into memory.
        raise DaemonError(_UNREADABLE.format(path, error.strerror or error)) from None
    except (struct.error, ArithmeticError, LookupError):
        is_whole = False
    if not is_whole:
        raise DaemonError(_DAMAGED.format(path))


def _last_tensor(data: mmap.mmap) -> int:
    """Return where the last tensor begins, 0 where there is none."""
    tensors, entries = struct.unpack_from("<QQ", data, _HEAD_BYTES)
    at, alignment = _HEAD_BYTES + 16, _ALIGNMENT
    for _ in range(entries):
        key, at = _text_at(data, at)
        (kind,) = struct.unpack_from("<I", data, at)
        if key == b"general.alignment":
            (alignment,) = struct.unpack_from("<I", data, at + 4)
        at = _behind(data, at + 4, kind)
    last = -1
    for _ in range(tensors):
        _, at = _text_at(data, at)
        (dimensions,) = struct.unpack_from("<I", data, at)
        # Behind the sizes and the kind.
        at += 4 + 8 * dimensions + 4
        (offset,) = struct.unpack_from("<Q", data, at)
        last, at = max(last, offset), at + 8
    # They are counted from behind all that is told of them.
    return -(-at // alignment) * alignment + last if tensors else 0


def _text_at(data: mmap.mmap, at: int) -> tuple[bytes, int]:
    size: int
    (size,) = struct.unpack_from("<Q", data, at)
    return data[at + 8 : at + 8 + min(size, _MOST_STRING_BYTES)], at + 8 + size


def _behind(data: mmap.mmap, at: int, kind: int) -> int:
    """Return where a value ends."""
    if kind == _STRING:
        return _text_at(data, at)[1]
    if kind != _ARRAY:
        return at + struct.calcsize(f"<{_SCALARS[kind]}") if kind in _SCALARS else len(data)
    of: int
    count: int
    of, count = struct.unpack_from("<IQ", data, at)
    at += 12
    if of in _SCALARS:
        return at + count * struct.calcsize(f"<{_SCALARS[of]}")
    if of == _ARRAY:
        for _ in range(count):
            at = _behind(data, at, of)
        return at
    # Of a vocabulary, which has hundreds of thousands.
    unpack = struct.Struct("<Q").unpack_from
    for _ in range(count):
        at += 8 + unpack(data, at)[0]
    return at


def _head(file: BinaryIO, name: str) -> Head:
    makes_vectors = False
    _scalar(file, "Q")  # how many tensors there are
    for _ in range(min(_scalar(file, "Q"), _MOST_ENTRIES)):
        key = _string(file).decode()
        if key.startswith(_LAST_GROUP):
            break
        kind = _scalar(file, "I")
        if key == "general.name" and kind == _STRING:
            name = _string(file).decode().strip() or name
            continue
        makes_vectors = makes_vectors or key.endswith(_POOLING)
        _skip(file, kind)
    return Head(name, makes_vectors)


def _skip(file: BinaryIO, kind: int) -> None:
    if kind == _STRING:
        _string(file)
    elif kind == _ARRAY:
        of, count = _scalar(file, "I"), _scalar(file, "Q")
        for _ in range(min(count, _MOST_ENTRIES)):
            _skip(file, of)
    else:
        _scalar(file, _SCALARS.get(kind, ""))


def _scalar(file: BinaryIO, code: str) -> int:
    # An unknown kind has no code and no bytes, of which nothing can be unpacked.
    said: int
    (said,) = struct.unpack(f"<{code}", file.read(struct.calcsize(f"<{code}"))) if code else struct.unpack("<I", b"")
    return said


def _string(file: BinaryIO) -> bytes:
    size = _scalar(file, "Q")
    said = file.read(min(size, _MOST_STRING_BYTES))
    if len(said) != size:
        raise struct.error("the string goes on beyond the file")
    return said
