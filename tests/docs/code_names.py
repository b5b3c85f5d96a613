"""Every name that the code gives to something, for pages that speak of it."""

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from tests.docs.pages import ROOT

SOURCE = ROOT / "src" / "dc1"
_ROOTS = (ROOT, SOURCE, ROOT / "proto" / "dcp" / "v1", SOURCE / "services")
_LUA_FUNCTION = re.compile(r"^(?:local )?function (\w+)", re.MULTILINE)
_EXPORTED = re.compile(r"^export (?:default )?(?:async )?(?:function\*?|const|class) (\w+)", re.MULTILINE)


class Names:
    """Modules by their last name, with what they define; classes by name, with their members."""

    def __init__(self) -> None:
        self.modules: defaultdict[str, set[str]] = defaultdict(set)
        self.classes: defaultdict[str, set[str]] = defaultdict(set)
        for path in SOURCE.rglob("*.py"):
            self._read(path)
        for path in (ROOT / "envoy").glob("*.lua"):
            self.modules[path.stem] |= set(_LUA_FUNCTION.findall(path.read_text(encoding="utf-8")))
        for path in (ROOT / "web").rglob("*.js"):
            self.modules[path.stem] |= set(_EXPORTED.findall(path.read_text(encoding="utf-8")))

    @property
    def functions(self) -> set[str]:
        """What can be called by its bare name."""
        return set().union(*self.modules.values(), *self.classes.values())

    def _read(self, path: Path) -> None:
        name = path.parent.name if path.name == "__init__.py" else path.stem
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            self.modules[name] |= defined(node)
            if isinstance(node, ast.ClassDef):
                self.classes[node.name] |= members(node)

    def knows(self, name: str) -> bool:
        """Tell whether `module.name`, `Class.member`, a class or a function of this name exists."""
        *owners, last = name.removesuffix("()").split(".")
        if not owners:
            return last in self.functions | set(self.classes) | set(self.modules) or last in messages()
        owner = owners[-1]
        return (
            last in self.modules.get(owner, ())
            or last in self.classes.get(owner, ())
            or f"{owner}.{last}" in messages()
        )


def defined(node: ast.stmt) -> set[str]:
    """The names that a statement of a module or a class binds."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Assign(targets=[ast.Name(id="__all__")], value=ast.List(elts=listed)):
            return {name.value for name in listed if isinstance(name, ast.Constant) and isinstance(name.value, str)}
        case ast.Assign(targets=targets):
            return {target.id for target in targets if isinstance(target, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
        case _:
            return set()


def members(node: ast.ClassDef) -> set[str]:
    """What an object of a class has: methods, fields, and what its methods set."""
    own = set().union(*(defined(statement) for statement in node.body))
    return own | {
        inner.attr
        for inner in ast.walk(node)
        if isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name) and inner.value.id == "self"
    }


@cache
def names() -> Names:
    return Names()


@cache
def messages() -> set[str]:
    """The messages, enums, services and methods of the protos, the latter as `Service.Method` too."""
    found = set[str]()
    described = FileDescriptorSet.FromString((ROOT / "gen" / "descriptors.binpb").read_bytes())
    for file in described.file:
        found |= {message.name for message in file.message_type} | {enum.name for enum in file.enum_type}
        for service in file.service:
            methods = {method.name for method in service.method}
            found |= {service.name, *methods, *(f"{service.name}.{name}" for name in methods)}
    return found


def is_file(name: str) -> bool:
    """Tell whether a path, from the repository's root or from where its kind of file is, leads to something."""
    return any((root / name).exists() for root in _ROOTS) or ("/" not in name and any(ROOT.glob(f"*/{name}")))
