"""The edge's part of the API: a Lua table for envoy/rest.lua and the list of services for envoy/envoy.yaml."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from dc1.codegen.access import is_public
from dc1.codegen.descriptors import Catalogue, Node
from dc1.codegen.responses import reason_name
from dc1.domain.errors.base import GRPC_CODES

_VERBS = ("get", "put", "post", "delete", "patch")
_ALL_SEGMENTS = ".+"
_TAKE_BODIES = {"put", "post", "delete", "patch"}
_REFUSALS, _REASONS, _ROLES = "dcp.v1.EdgeRefusal", "dcp.v1.ErrorReason", "dcp.v1.Role"
# What Envoy alone refuses, and by statuses that no server has, is in the request.
_UNNAMED = "INVALID_ARGUMENT"
_HEAD = "-- Written by `make gen` from proto/: what envoy/rest.lua has to know of the API. Never edited by hand.\n"
# The list stands where Envoy reads it, so that the file runs as it is; the comment over it belongs to the list.
_SERVICES = re.compile(r"^( *)services:\n((?: *#.*\n)*)(?: *- .*\n)+", re.MULTILINE)


def lua_module(catalogue: Catalogue) -> str:
    """Return the text of gen/edge.lua.

    A name that nothing has raises LookupError, and what the edge could not do with its means ValueError.
    """
    rest = catalogue.file_option("dcp.v1.rest", {})
    refusals = dict(_refusals(catalogue))
    of_status: dict[int, str] = {}
    for name, refusal in refusals.items():
        of_status.setdefault(refusal["status"], name)
    # The longest prefix first: the shorter one would match its paths, too.
    base_paths = sorted((base["path"] for base in rest.get("base_paths", ())), key=len, reverse=True)
    table = {
        "max_body_bytes": rest.get("max_body_bytes", 0),
        "max_values": rest.get("max_values", 0),
        "own_body_limits": list(_own_body_limits(catalogue)),
        "keyless_bodies": list(_keyless_bodies(catalogue)),
        "methods": dict(_admission(catalogue)),
        "routes": _routes(catalogue),
        "base_paths": [f"^{_escaped(path)}(/.+)$" for path in base_paths],
        "root_only": [f"^{_escaped(path)}" for path in rest.get("root_only", ())],
        "edge_headers": [*rest.get("edge_headers", ()), *sorted(set(dict(_query_keys(catalogue)).values()))],
        "edge_header_prefixes": list(rest.get("edge_header_prefixes", ())),
        "credentials": ["authorization", *_carriers(catalogue)],
        "query_keys": dict(_query_keys(catalogue)),
        "keys_in_path": list(_keys_in_path(catalogue)),
        "refusals": refusals,
        "refusal_of_status": of_status,
    }
    return f"{_HEAD}return {_lua(table)}\n"


def with_services(bootstrap: str, catalogue: Catalogue) -> str:
    """Return envoy.yaml with the services that have routes in its transcoder's list.

    Raises:
        ValueError: there is no such list.
    """
    routed = sorted(name for name, service in catalogue.services.items() if any(map(_bindings, service.children)))

    def written(match: re.Match[str]) -> str:
        indent, comment = match[1], match[2]
        return f"{indent}services:\n{comment}" + "".join(f"{indent}- {name}\n" for name in routed)

    text, found = _SERVICES.subn(written, bootstrap)
    if found != 1:
        raise ValueError("envoy.yaml has no list of services")
    return text


def _bindings(method: Node) -> list[dict[str, Any]]:
    http = method.option("google.api.http", {})
    return [http, *http.get("additional_bindings", ())] if http else []


def _methods(catalogue: Catalogue) -> Iterator[tuple[Node, list[str]]]:
    """Yield every method with the paths of its routes."""
    for service in catalogue.services.values():
        for method in service.children:
            yield method, [next(bound[verb] for verb in _VERBS if verb in bound) for bound in _bindings(method)]


def _own_body_limits(catalogue: Catalogue) -> Iterator[dict[str, Any]]:
    """Yield the ends of paths whose bodies have limits of their own, which stand behind any base path."""
    for method, paths in _methods(catalogue):
        if limit := method.option("dcp.v1.max_body_bytes"):
            yield from ({"path": _pattern(path)[1:], "max_bytes": limit} for path in paths)


def _keyless_bodies(catalogue: Catalogue) -> Iterator[str]:
    """Yield the ends of paths to which anybody may send a body."""
    for service in catalogue.services.values():
        for method in service.children:
            if not is_public(method.option("dcp.v1.access", {})):
                continue
            yield from (
                _pattern(bound[verb])[1:] for bound in _bindings(method) for verb in _TAKE_BODIES & bound.keys()
            )


def _admission(catalogue: Catalogue) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what decides, by the method's full name, whether the body of a request is waited for."""
    rest = catalogue.file_option("dcp.v1.rest", {})
    for method, _ in _methods(catalogue):
        access = method.option("dcp.v1.access", {})
        max_bytes = method.option("dcp.v1.max_body_bytes", rest.get("max_body_bytes", 0))
        admission: dict[str, Any] = {
            "max_bytes": max_bytes,
            "max_message_bytes": method.option("dcp.v1.max_message_bytes", max_bytes),
        }
        if max_values := method.option("dcp.v1.max_values"):
            admission["max_values"] = max_values
        if method.option("dcp.v1.takes_form"):
            admission["takes_form"] = True
        if not is_public(access):
            admission["key_in"] = "body" if "body_key" in access else "headers"
        if "body_key" in access:
            admission["body_key"] = access["body_key"]
        if method.raw.get("client_streaming"):
            admission["streams"] = True
        yield _full_name(method), admission


def _routes(catalogue: Catalogue) -> dict[str, list[dict[str, str]]]:
    """Return the patterns of all paths with their methods, by verb."""
    routes: dict[str, list[dict[str, str]]] = {}
    for service in catalogue.services.values():
        for method in service.children:
            for bound in _bindings(method):
                verb = next(verb for verb in _VERBS if verb in bound)
                route = {"path": _pattern(bound[verb]), "method": _full_name(method)}
                routes.setdefault(verb.upper(), []).append(route)
    # What names more of a path comes first, as the transcoder has it: `/jobs/{job_id}` would match `/jobs/active` too.
    return {verb: sorted(found, key=_unnamed) for verb, found in routes.items()}


def _unnamed(route: dict[str, str]) -> tuple[bool, int]:
    return _ALL_SEGMENTS in route["path"], route["path"].count("[")


def _full_name(method: Node) -> str:
    service, _, name = method.name.rpartition(".")
    return f"/{service}/{name}"


def _carriers(catalogue: Catalogue) -> list[str]:
    """Return the headers in which a credential may reach the server."""
    declared = [role.option("dcp.v1.carriers", {}) for role in catalogue.enums[_ROLES].children]
    own = [carriers[kind] for kind in ("header", "v1_header") for carriers in declared if kind in carriers]
    return [*own, *sorted(set(dict(_query_keys(catalogue)).values()))]


def _query_keys(catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    for role in catalogue.enums[_ROLES].children:
        for parameter in role.option("dcp.v1.carriers", {}).get("query_parameters", ()):
            yield parameter, _key_header(parameter)


def _keys_in_path(catalogue: Catalogue) -> Iterator[dict[str, str]]:
    """Yield where a key may stand in the path, and what the path becomes without it.

    Raises:
        LookupError: a route does not have the variable.
    """
    for method, paths in _methods(catalogue):
        if not (key := method.option("dcp.v1.key_in_path")):
            continue
        place = f"{{{key['variable']}}}"
        if not all(place in path for path in paths):
            raise LookupError(f"{method.name} takes a key in place of {place}, which its path does not have")
        for path in paths:
            before, _, after = path.partition(place)
            plain = f"{before}me{after}"
            yield {
                "path": f"^{_pattern(before)[1:-1]}([^/]+){_pattern(after)[1:-1]}$",
                "header": _key_header(key["query_parameter"]),
                "plain_path": plain,
                "bearer_path": key.get("bearer_path", plain),
            }


def _refusals(catalogue: Catalogue) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what the edge says, by name and in the order of the protos.

    Raises:
        LookupError: a refusal names a reason that there is not.
    """
    enums = catalogue.enums
    reasons = {reason_name(value): value.option("dcp.v1.refusal") for value in _values(enums.get(_REASONS))}
    for value in _values(enums.get(_REFUSALS)):
        refusal = value.option("dcp.v1.refusal", {})
        reason = refusal.get("reason")
        if reason is not None and reason not in reasons:
            raise LookupError(f"{value.name} names the reason {reason}, which no proto file defines")
        said = reasons[reason] if reason else refusal
        yield (
            value.short_name.removeprefix("EDGE_REFUSAL_"),
            {
                "status": said["http_status"],
                "text": _plain(said["text"]),
                # Escaped, as it stands in a header on its way.
                "text_ar": json.dumps(refusal.get("text_ar", ""))[1:-1],
                "openai_code": refusal["openai_code"],
            }
            | {"code": reason or GRPC_CODES.get(said["http_status"], _UNNAMED)}
            | ({"anthropic_type": kind} if (kind := refusal.get("anthropic_type")) else {}),
        )


def _values(enum: Node | None) -> list[Node]:
    """Return the values of an enum that mean something; none without the enum."""
    return [value for value in enum.children if value.raw.get("number")] if enum else []


def _plain(text: str) -> str:
    """Return the text.

    Raises:
        ValueError: it would need escaping in JSON.
    """
    # rest.lua puts texts between quotation marks without escaping them.
    if json.dumps(text) != f'"{text}"':
        raise ValueError(f"the text {text!r} cannot stand in JSON as it is")
    return text


def _key_header(parameter: str) -> str:
    """Return the header into which the edge moves a key from the query, as the server looks for it."""
    return f"x-query-{parameter.replace('_', '-')}"


def _pattern(path: str) -> str:
    """Return the Lua pattern of a route's paths, in which a variable is one segment, or all that are left: `{name=**}`.

    Raises:
        ValueError: a variable is anything else, which Lua's patterns cannot tell from these.
    """
    path, *rest = re.split(r"{\w+=\*\*}$", path)
    if re.search(r"{[^}]*[=*]", path):
        raise ValueError(f"the edge cannot tell the paths of {path}")
    parts = re.split(r"{\w+}", path)
    return f"^{'[^/]+'.join(map(_escaped, parts))}{_ALL_SEGMENTS if rest else ''}$"


def _escaped(text: str) -> str:
    # Whatever is no letter or digit may be escaped, and a hyphen has to be: it is Lua's shortest repetition.
    return re.sub(r"[^\w/]", r"%\g<0>", text)


def _lua(value: Any, indent: str = "") -> str:
    """Return a Lua constructor of plain values, two spaces a level; what holds no table stands on one line."""
    if isinstance(value, dict):
        members = [(f"{_lua_key(key)} = ", member) for key, member in value.items()]
    elif isinstance(value, list):
        members = [("", member) for member in value]
    else:
        return json.dumps(value)
    if not any(isinstance(member, dict | list) for _, member in members):
        return "{ " + ", ".join(key + _lua(member) for key, member in members) + " }"
    lines = [f"{indent}  {key}{_lua(member, indent + '  ')},\n" for key, member in members]
    return "{\n" + "".join(lines) + indent + "}"


def _lua_key(key: object) -> str:
    return key if isinstance(key, str) and key.isidentifier() else f"[{json.dumps(key)}]"
