"""The descriptor set as plain data: every file, message, enum and service with its options and comments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

Path: TypeAlias = tuple[int, ...]

# Field numbers of descriptor.proto, by which source locations are addressed.
_FILE_MESSAGE, _FILE_ENUM, _FILE_SERVICE = 4, 5, 6
_MESSAGE_FIELD, _MESSAGE_NESTED, _MESSAGE_ENUM = 2, 3, 4
_ENUM_VALUE = _SERVICE_METHOD = 2


@dataclass(frozen=True)
class Node:
    """One described element: a message with its fields, an enum with its values, or a service with its methods.

    `raw` is the element's descriptor as JSON, in which enum values are names and options stand under `[full.name]`.
    """

    name: str
    comment: str
    raw: dict[str, Any]
    children: tuple[Node, ...] = ()

    @property
    def short_name(self) -> str:
        """The last part of the full name."""
        return self.name.rpartition(".")[2]

    def option(self, name: str, default: Any = None) -> Any:
        """Return the value of the custom option with that full name, as JSON."""
        return self.raw.get("options", {}).get(f"[{name}]", default)


@dataclass
class Catalogue:
    """What a descriptor set describes, by full name and in the order of the files."""

    messages: dict[str, Node] = field(default_factory=dict)
    enums: dict[str, Node] = field(default_factory=dict)
    services: dict[str, Node] = field(default_factory=dict)
    files: dict[str, Node] = field(default_factory=dict)

    def file_option(self, name: str, default: Any = None) -> Any:
        """Return the value of the custom option of that full name in the first file that has it, as JSON."""
        return next((found for file in self.files.values() if (found := file.option(name)) is not None), default)


def load_catalogue(data: bytes) -> Catalogue:
    """Return what a serialized FileDescriptorSet describes, which has to hold its imports."""
    # A pool of its own: the default one may hold the modules that were generated last, and these are to be replaced.
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(data).file:
        pool.Add(file)
    # Read anew with the pool's own classes: only they know the extensions that our options are.
    descriptor_set = message_factory.GetMessageClass(pool.FindMessageTypeByName("google.protobuf.FileDescriptorSet"))()
    descriptor_set.ParseFromString(data)
    catalogue = Catalogue()
    for file in json_format.MessageToDict(descriptor_set, preserving_proto_field_name=True, descriptor_pool=pool)[
        "file"
    ]:
        _File(file, catalogue).read()
    return catalogue


class _File:
    """Walks one file and adds what it finds to the catalogue."""

    def __init__(self, raw: dict[str, Any], catalogue: Catalogue) -> None:
        self._raw = raw
        self._catalogue = catalogue
        # Comments are no part of an element: the file lists them by the path that leads to it through the descriptor.
        self._comments = {
            tuple(location.get("path", ())): _tidy(location["leading_comments"])
            for location in raw.get("source_code_info", {}).get("location", ())
            if "leading_comments" in location
        }

    def read(self) -> None:
        """Add everything of the file to the catalogue."""
        package = self._raw.get("package", "")
        self._catalogue.files[self._raw["name"]] = Node(self._raw["name"], "", self._raw)
        for path, raw in _numbered(self._raw, "message_type", (_FILE_MESSAGE,)):
            self._message(package, path, raw)
        for path, raw in _numbered(self._raw, "enum_type", (_FILE_ENUM,)):
            self._enum(package, path, raw)
        for path, raw in _numbered(self._raw, "service", (_FILE_SERVICE,)):
            node = self._node(package, path, raw, "method", _SERVICE_METHOD)
            self._catalogue.services[node.name] = node

    def _message(self, scope: str, path: Path, raw: dict[str, Any]) -> None:
        node = self._node(scope, path, raw, "field", _MESSAGE_FIELD)
        self._catalogue.messages[node.name] = node
        for nested_path, nested in _numbered(raw, "nested_type", (*path, _MESSAGE_NESTED)):
            self._message(node.name, nested_path, nested)
        for enum_path, enum in _numbered(raw, "enum_type", (*path, _MESSAGE_ENUM)):
            self._enum(node.name, enum_path, enum)

    def _enum(self, scope: str, path: Path, raw: dict[str, Any]) -> None:
        node = self._node(scope, path, raw, "value", _ENUM_VALUE)
        self._catalogue.enums[node.name] = node

    def _node(self, scope: str, path: Path, raw: dict[str, Any], members: str, number: int) -> Node:
        name = f"{scope}.{raw['name']}"
        children = tuple(
            Node(f"{name}.{member['name']}", self._comments.get(member_path, ""), member)
            for member_path, member in _numbered(raw, members, (*path, number))
        )
        return Node(name, self._comments.get(path, ""), raw, children)


def _numbered(raw: dict[str, Any], key: str, path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the elements under `key`, each with the path of its source location."""
    for index, element in enumerate(raw.get(key, ())):
        yield (*path, index), element


def _tidy(comment: str) -> str:
    """Return the comment with the lines of each paragraph joined; list items keep lines of their own."""
    lines = "\n".join(line.strip() for line in comment.strip().splitlines())
    return re.sub(r"(?<!\n)\n(?!\n|[-*] |\d+\. )", " ", lines)
