"""Libraries of the console: `web/vendor/` is what `package-lock.json` pins, made into modules that a browser finds.

`make lint` compares the two, `make vendor` writes the one from the other.
"""

import re
import sys
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parents[2]
VENDOR = ROOT / "web/vendor"
SUMS = "SHA256SUMS"
_PACKAGES = ROOT / "node_modules"

# Where a browser finds what the libraries call by the names of packages.
_NAMES = {
    "preact": "./preact.js",
    "preact/hooks": "./hooks.js",
    "@preact/signals-core": "./signals-core.js",
}
_SOURCES = {
    "preact.js": "preact/dist/preact.mjs",
    "hooks.js": "preact/hooks/dist/hooks.mjs",
    "signals-core.js": "@preact/signals-core/dist/signals-core.mjs",
    "signals.js": "@preact/signals/dist/signals.mjs",
    "uPlot.js": "uplot/dist/uPlot.iife.min.js",
    "uPlot.css": "uplot/dist/uPlot.min.css",
}
# Its build for modules is three times as large as the one for pages.
_AS_MODULE = {"uPlot.js": "export default uPlot;\n"}
_TYPES = {
    "preact.d.ts": 'export * from "preact";\n',
    "hooks.d.ts": 'export * from "preact/hooks";\n',
    "signals.d.ts": 'export * from "@preact/signals";\n',
    "uPlot.d.ts": 'export { default } from "uplot";\n',
}
_SOURCE_MAP = re.compile(r"^//# sourceMappingURL=.*\n?", re.MULTILINE)
_FROM = re.compile(r'(?<=from)"([^".][^"]*)"')


def wanted() -> dict[str, bytes]:
    """Return every vendored file as the packages have it; one that is not installed raises FileNotFoundError."""
    files = {name: _module(source) + _AS_MODULE.get(name, "") for name, source in _SOURCES.items()} | _TYPES
    packages = sorted({_package(source) for source in _SOURCES.values()})
    files["LICENSES.txt"] = "\n".join(f"{name}\n\n{_read(f'{name}/LICENSE')}" for name in packages)
    return {name: text.encode() for name, text in files.items()}


def sums(files: dict[str, bytes]) -> str:
    """Return what `sha256sum` would say of the files."""
    return "".join(f"{sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items()))


def present() -> dict[str, bytes]:
    """Return the vendored files as they are."""
    return {path.name: path.read_bytes() for path in VENDOR.iterdir() if path.name != SUMS}


def _module(source: str) -> str:
    return _FROM.sub(lambda found: f'"{_NAMES[found[1]]}"', _SOURCE_MAP.sub("", _read(source)))


def _package(source: str) -> str:
    parts = source.split("/")
    return "/".join(parts[: 2 if source.startswith("@") else 1])


def _read(name: str) -> str:
    return (_PACKAGES / name).read_text(encoding="utf-8")


def main() -> None:
    """Compare, or write with `--write`."""
    files = wanted()
    if sys.argv[1:] == ["--write"]:
        VENDOR.mkdir(exist_ok=True)
        for name, data in {**files, SUMS: sums(files).encode()}.items():
            (VENDOR / name).write_bytes(data)
    elif files != present():
        print("web/vendor is not what package-lock.json pins: `make vendor` writes it.")
        sys.exit(1)


if __name__ == "__main__":
    main()
