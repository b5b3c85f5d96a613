"""The head of a GGUF file: what its maker says of the model in it."""

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dc1.daemon.errors import DaemonError

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_UINT32, _STRING, _ARRAY = 4, 8, 9
# The vocabulary follows the general facts, and it alone is megabytes.
_LAST_GROUP = b"tokenizer."
# How the vectors of a text's tokens become one: what makes no vectors says nothing of it.
_POOLING = b".pooling_type"
_ALIGNMENT = 32
_FOREIGN = "{} is no GGUF file; llama.cpp and its kind read nothing else."
_DAMAGED = "{} is a GGUF file that is damaged; was it downloaded as a whole?"
_MOST_STRING_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Head:
    """The name of a model, its maker's or else the file's, and whether it was made to turn texts into vectors."""

    name: str
    makes_vectors: bool


def head(path: Path) -> Head:
    """Return what is read of a file; a DaemonError says that there is none, or none of llama.cpp's."""
    with _opened(path) as file:
        return _head(file, path.stem)


def require_whole(path: Path) -> None:
    """Look whether a file has all that its head tells of: of one that was cut off llama.cpp says nothing to anybody.

    Raises:
        DaemonError: it ends before its last tensor begins, or cannot be read.
    """
    with _opened(path) as file:
        if _last_tensor(file) >= file.size:
            raise DaemonError(_DAMAGED.format(path))


class _File:
    """What is read of a file, from where it has been read to; a `struct.error` says that it ends before."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self.at = 0
        self.size = len(data)

    def numbers(self, codes: str) -> tuple[Any, ...]:
        """Read numbers, with a letter of `struct` for each."""
        found = struct.unpack_from(f"<{codes}", self._data, self.at)
        self.at += struct.calcsize(f"<{codes}")
        return found

    def text(self) -> bytes:
        """Read a text, or the first of one that is longer than any should be."""
        (size,) = self.numbers("Q")
        begins, self.at = self.at, self.at + size
        if self.at > self.size:
            raise struct.error("the text goes on beyond the file")
        return self._data[begins : begins + min(size, _MOST_STRING_BYTES)]

    def skip(self, kind: int) -> None:
        """Go behind a value; a LookupError says that there is no such kind."""
        if kind == _STRING:
            self.text()
        elif kind == _ARRAY:
            self._skip_array(*self.numbers("IQ"))
        else:
            self.at += struct.calcsize(f"<{_SCALARS[kind]}")

    def _skip_array(self, kind: int, count: int) -> None:
        if kind in _SCALARS:
            self.at += count * struct.calcsize(f"<{_SCALARS[kind]}")
        elif kind == _STRING:
            # A vocabulary has hundreds of thousands.
            size, at, data = struct.Struct("<Q").unpack_from, self.at, self._data
            for _ in range(count):
                at += 8 + size(data, at)[0]
            self.at = at
        else:
            for _ in range(count):
                self.skip(kind)


@contextmanager
def _opened(path: Path) -> Iterator[_File]:
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            # A pipe would be waited for, for as long as nobody writes to it.
            raise DaemonError(f"{path} is no file.")
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise DaemonError(_FOREIGN.format(path))
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                opened = _File(data)
                opened.at = len(_MAGIC)
                if opened.numbers("I")[0] not in _VERSIONS:
                    raise DaemonError(_FOREIGN.format(path))
                yield opened
    except OSError as error:
        # Of a file that is there, too: some file systems map nothing into memory.
        raise DaemonError(f"The model {path} cannot be read: {error.strerror or error}.") from None
    except (struct.error, UnicodeDecodeError, ArithmeticError, LookupError, RecursionError):
        raise DaemonError(_DAMAGED.format(path)) from None


def _head(file: _File, name: str) -> Head:
    makes_vectors = False
    _, entries = file.numbers("QQ")
    for _ in range(entries):
        key = file.text()
        if key.startswith(_LAST_GROUP):
            break
        (kind,) = file.numbers("I")
        if key == b"general.name" and kind == _STRING:
            name = file.text().decode().strip() or name
            continue
        makes_vectors = makes_vectors or key.endswith(_POOLING)
        file.skip(kind)
    return Head(name, makes_vectors)


def _last_tensor(file: _File) -> int:
    """Return where the last tensor begins, 0 where there is none."""
    tensors, entries = file.numbers("QQ")
    alignment, last = _ALIGNMENT, -1
    for _ in range(entries):
        key = file.text()
        (kind,) = file.numbers("I")
        if key == b"general.alignment" and kind == _UINT32:
            (alignment,) = file.numbers("I")
        else:
            file.skip(kind)
    for _ in range(tensors):
        file.text()
        (dimensions,) = file.numbers("I")
        # Behind the sizes and the kind.
        file.at += 8 * dimensions + 4
        last = max(last, *file.numbers("Q"))
    # They are counted from behind all that is told of them.
    return -(-file.at // alignment) * alignment + last if tensors else 0
