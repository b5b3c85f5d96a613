"""The command `python -m dc1.codegen OUT`.

It writes the generated files, with `--check` it only tells whether they are up to date.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import tomllib
from pathlib import Path

import yaml

from dc1.codegen.compile import CompileError, compile_protos
from dc1.codegen.descriptors import Catalogue, load_catalogue
from dc1.codegen.edge import lua_module, with_services
from dc1.codegen.openapi import openapi_document
from dc1.codegen.python_types import python_types
from dc1.codegen.synchronous import synchronous_modules
from dc1.codegen.typescript import typescript_module

_REPOSITORY = Path(__file__).resolve().parents[3]
_BOOTSTRAP = "envoy/envoy.yaml"
_CLIENT = "src/dc1/client"


def generate(protos: Path, out: Path) -> Catalogue:
    """Write everything that is generated into an empty directory and return what the protos describe."""
    descriptors = compile_protos(protos, out)
    (out / "descriptors.binpb").write_bytes(descriptors)
    catalogue = load_catalogue(descriptors)
    (out / "edge.lua").write_text(lua_module(catalogue), encoding="utf-8")
    document = openapi_document(catalogue, _version())
    text = yaml.dump(document, Dumper=_Readable, sort_keys=False, allow_unicode=True, width=120)
    (out / "openapi.yaml").write_text(text, encoding="utf-8")
    (out / "dcp/rest_types.py").write_text(python_types(document), encoding="utf-8")
    (out / "web").mkdir()
    (out / "web/api.d.ts").write_text(typescript_module(document), encoding="utf-8")
    return catalogue


def stale(fresh: Path, kept: Path) -> list[str]:
    """Return the names of the files that are missing, superfluous or different in `kept`."""
    wanted, present = _files(fresh), _files(kept)
    return sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))


def update(fresh: Path, kept: Path) -> None:
    """Make `kept` equal to `fresh`, touching only what differs."""
    for name in stale(fresh, kept):
        source, target = fresh / name, kept / name
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
        else:
            target.unlink()


def elsewhere(repository: Path, catalogue: Catalogue) -> dict[Path, str]:
    """Return the text of the files that are generated beside gen/; other protos than the repository's have none."""
    made = {}
    # Written by hand but for a list.
    if (bootstrap := repository / _BOOTSTRAP).exists():
        made[bootstrap] = with_services(bootstrap.read_text(encoding="utf-8"), catalogue)
    if (client := repository / _CLIENT).exists():
        modules = synchronous_modules(client / "asynchronous")
        made |= {client / "synchronous" / name: text for name, text in modules.items()}
    return made


def main() -> int:
    """Generate or check as the command line says, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m dc1.codegen", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--protos", type=Path, default=Path("proto"))
    parser.add_argument("--check", action="store_true", help="write nothing, fail when OUT is stale")
    arguments = parser.parse_args()
    # Generated aside and then compared: protos that do not compile leave what there is alone, and what no proto makes
    # any more goes.
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch)
        try:
            catalogue = generate(arguments.protos, fresh)
            beside = elsewhere(arguments.protos.parent, catalogue)
        except (CompileError, LookupError, ValueError) as error:
            print(f"Nothing was generated. {error}".rstrip(), file=sys.stderr)
            return 1
        if not arguments.check:
            update(fresh, arguments.out)
            for path, text in beside.items():
                path.parent.mkdir(exist_ok=True)
                path.write_text(text, encoding="utf-8")
            return 0
        names = stale(fresh, arguments.out)
    root = arguments.protos.parent
    names += [
        str(path.relative_to(root))
        for path, text in beside.items()
        if not path.exists() or path.read_text("utf-8") != text
    ]
    if names:
        print(f"{arguments.out}/ is stale: run `make gen` and commit the result ({', '.join(names)}).", file=sys.stderr)
    return 1 if names else 0


def _version() -> str:
    # Not that of the installed package: an editable install keeps the number it was made with.
    project = tomllib.loads((_REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version: str = project["version"]
    return version


def _files(root: Path) -> dict[str, bytes]:
    # Running the generated modules leaves bytecode beside them.
    paths = (path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


class _Readable(yaml.SafeDumper):
    """YAML for people: no anchors to look up, and paragraphs as blocks."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Readable.add_representer(str, _text)


if __name__ == "__main__":
    sys.exit(main())
