"""The files of web/ in memory, and the page that begins with them."""

import posixpath
import re
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Self

# What else lies there is for developers: types of the vendored libraries and the texts of their licences.
_MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_PAGE = "index.html"
_ENTRY = "main.js"
_DIGEST_CHARACTERS = 16
# What a module needs before it runs. `import("…")`, of a page that somebody has to open first, has a bracket.
_IMPORT = re.compile(r"""(?:\bfrom|\bimport)\s*["'](\.{1,2}/[^"']+)["']""")


@dataclass(frozen=True, slots=True)
class File:
    """One file as it is sent."""

    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Site:
    """Every file by its path, what tells this state of them from any other, and the page."""

    files: dict[str, File]
    digest: str
    page: bytes

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read the site from its directory; a file that cannot be read raises OSError."""
        files = {
            path.relative_to(directory).as_posix(): File(f"{kind}; charset=utf-8", path.read_bytes())
            for path in sorted(directory.rglob("*"))
            if (kind := _MEDIA_TYPES.get(path.suffix))
        }
        # One for all: modules name each other by relative paths, so they stand below one address that changes with
        # any of them, and no name in them has to be written anew.
        told = sha256()
        for name, file in files.items():
            told.update(f"{name}\0{len(file.data)}\0".encode() + file.data)
        digest = told.hexdigest()[:_DIGEST_CHARACTERS]
        return cls(files, digest, _page(directory, digest, files))


def _page(directory: Path, digest: str, files: dict[str, File]) -> bytes:
    text = (directory / _PAGE).read_text(encoding="utf-8")
    preloads = "".join(f'\n<link rel="modulepreload" href="{{assets}}{escape(name)}">' for name in _first(files))
    # Relative, so that the page works behind any base path that a proxy puts before it.
    return text.replace("<!-- preloads -->", preloads.strip()).replace("{assets}", f"assets/{digest}/").encode()


def _first(files: dict[str, File]) -> list[str]:
    """Return the modules that the entry imports, directly or not, in the order in which they are met."""
    found: list[str] = []
    wanted = [_ENTRY]
    while wanted:
        name = wanted.pop(0)
        if name not in found:
            found.append(name)
            wanted += [_beside(name, target) for target in _IMPORT.findall(files[name].data.decode())]
    return found


def _beside(name: str, target: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
