"""The head of a GGUF file: what its maker says of the model in it."""

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
        with path.open("rb") as file:
            if file.read(4) != _MAGIC or _scalar(file, "I") not in _VERSIONS:
                raise DaemonError(f"{path} is no GGUF file; llama.cpp and its kind read nothing else.")
            return _head(file, path.stem)
    except OSError as error:
        raise DaemonError(f"The model {path} cannot be read: {error.strerror or error}.") from None
    except (struct.error, UnicodeDecodeError, OverflowError):
        raise DaemonError(f"{path} is a GGUF file that is damaged; was it downloaded as a whole?") from None


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
