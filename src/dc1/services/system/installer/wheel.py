"""Wheels of what is installed here: a machine that installs from a market gets the market's own version."""

import base64
import io
import zipfile
from collections.abc import Iterator
from functools import cached_property
from hashlib import sha256
from importlib.metadata import Distribution
from importlib.util import find_spec
from pathlib import Path

_WHEEL = "Wheel-Version: 1.0\nGenerator: dc1\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
_METADATA = ("METADATA", "entry_points.txt")
# What servers alone need, and what is only there where this runs.
_LEFT_OUT = {"__pycache__", "_assets", "codegen"}
# The oldest that the format has. The same for all files: servers of one version have to send the same bytes.
_TIME = (1980, 1, 1, 0, 0, 0)


class Wheel:
    """A wheel of a distribution of Python modules alone, put together from its packages as they lie here."""

    def __init__(self, distribution: Distribution, packages: tuple[str, ...]) -> None:
        self._distribution = distribution
        self._packages = packages

    @property
    def name(self) -> str:
        """Its file name, which pip reads."""
        return f"{self._distribution.name}-{self._distribution.version}-py3-none-any.whl"

    @cached_property
    def data(self) -> bytes:
        """Its bytes, the same for the same files."""
        info = f"{self._distribution.name}-{self._distribution.version}.dist-info"
        written = io.BytesIO()
        record = []
        with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in {**self._modules(), **dict(self._about(info))}.items():
                archive.writestr(zipfile.ZipInfo(name, _TIME), data, zipfile.ZIP_DEFLATED)
                digest = base64.urlsafe_b64encode(sha256(data).digest()).rstrip(b"=").decode()
                record.append(f"{name},sha256={digest},{len(data)}\n")
            lines = "".join([*record, f"{info}/RECORD,,\n"])
            archive.writestr(zipfile.ZipInfo(f"{info}/RECORD", _TIME), lines, zipfile.ZIP_DEFLATED)
        return written.getvalue()

    def _modules(self) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for package in self._packages:
            spec = find_spec(package)
            for root in (spec.submodule_search_locations or ()) if spec else ():
                for path in sorted(Path(root).rglob("*")):
                    parts = path.relative_to(root).parts
                    if path.is_file() and not _LEFT_OUT & set(parts):
                        # In two places where others ship a part of it as well: the first is what is imported.
                        found.setdefault("/".join((package, *parts)), path.read_bytes())
        return found

    def _about(self, info: str) -> Iterator[tuple[str, bytes]]:
        for name in _METADATA:
            if text := self._distribution.read_text(name):
                yield f"{info}/{name}", text.encode()
        yield f"{info}/WHEEL", _WHEEL.encode()
