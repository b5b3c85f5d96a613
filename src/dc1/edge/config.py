"""The configuration of one edge: what a deployment changes in envoy/envoy.yaml, and the file that Envoy then reads."""

import json
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from dc1.assets import asset, parse_yaml, yaml_text
from dc1.edge.certificate import transport_socket
from dc1.edge.errors import EdgeError
from dc1.private_files import make_private_file, write_private_file
from dc1.settings.settings import Settings

_LAST_PORT = 65535
_UNIX = "unix:"
_CALLERS = "dc1.callers"
_SCRIPTS = {
    _CALLERS: "envoy/callers.lua",
    "dc1.bodies": "envoy/bodies.lua",
    "envoy.filters.http.lua": "envoy/rest.lua",
    "dc1.whole_bodies": "envoy/whole_bodies.lua",
}
_REQUIRES = re.compile(r'require\("([\w.]+)"\)')
# The second counts by what the first tells it.
_LIMITS = (_CALLERS, "envoy.filters.http.local_ratelimit")
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to reach a server that listens everywhere
_PROOF = "x-edge-proof"


@dataclass(frozen=True)
class EdgeConfig:
    """Addresses, paths and origins of one edge.

    Attributes:
        directory: where Envoy's files are written; made when missing.
        http_host: address of the public listener.
        http_port: port of the public listener, REST and gRPC; 0 takes a free one.
        tls_certificate: certificate chain of the public listener, PEM; None for no TLS.
        tls_key: private key of that certificate, PEM.
        certificate_look_seconds: how long a renewed certificate may go unnoticed.
        upstreams: the control plane's replicas as `host:port` or `unix:/path`.
        edge_secret: what this edge proves itself by to servers on TCP.
        trusted_proxies: how many proxies before the edge are believed what they add to `X-Forwarded-For`.
        cors_origins: origins that browsers may call from; `*` stands for all.
        concurrency: worker threads.
        rest_timeout_seconds: how long a REST call may take before it is 504; streams are not limited.
        limits_enabled: whether calls are limited by their address before a server sees them.
        access_log: file of the access log; `access.log` in `directory` when None.
        log_bytes: size at which a file that Envoy logs to is put aside; four older ones are kept.
    """

    directory: Path
    http_host: str = "127.0.0.1"
    http_port: int = 8083
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    certificate_look_seconds: float = 5.0
    upstreams: tuple[str, ...] = ("127.0.0.1:50051",)
    edge_secret: str | None = field(default=None, repr=False)
    trusted_proxies: int = 0
    cors_origins: tuple[str, ...] = ()
    concurrency: int = 2
    rest_timeout_seconds: float = 60.0
    limits_enabled: bool = True
    access_log: Path | None = None
    log_bytes: int = 67_108_864

    @property
    def admin_socket(self) -> Path:
        """The Unix socket of Envoy's administration interface, which only the owner of `directory` can open."""
        return self.directory.resolve() / "admin.sock"

    @property
    def access_log_path(self) -> Path:
        """The file of the access log."""
        return self.access_log or self.directory.resolve() / "access.log"

    @property
    def own_log_path(self) -> Path:
        """The file to which Envoy says what ails it."""
        return self.directory.resolve() / "envoy.log"

    @property
    def certificate_file(self) -> Path:
        """The file in which Envoy reads the certificate and its key."""
        return self.directory.resolve() / "certificate.json"

    @classmethod
    def from_settings(cls, settings: Settings, upstreams: tuple[str, ...], edge_secret: str | None = None) -> Self:
        """Return the edge's part of the settings, before the servers that `upstreams` names."""
        return cls(
            directory=settings.data_dir / "envoy",
            http_host=settings.http_host,
            http_port=settings.http_port,
            tls_certificate=settings.tls_certificate,
            tls_key=settings.tls_key,
            upstreams=upstreams,
            edge_secret=edge_secret,
            trusted_proxies=settings.trusted_proxies,
            cors_origins=settings.cors_origins,
            concurrency=settings.envoy_concurrency,
            limits_enabled=settings.rate_limits_enabled,
        )


def render(config: EdgeConfig) -> Path:
    """Write envoy.yaml with the values of `config` into its directory and return the path.

    It changes values and never the structure: what the file in the repository says of filters, routes and limits holds
    as it is. An upstream that cannot be used raises EdgeError, a file OSError.
    """
    # Absolute, as are all paths in it: Envoy may run in another directory than this process.
    directory = config.directory.resolve()
    make_private(directory)
    for log in (directory / "access.log", config.own_log_path):
        make_private_file(log)
    bootstrap: dict[str, Any] = parse_yaml(asset("envoy/envoy.yaml").read_bytes())
    bootstrap["admin"]["address"]["pipe"]["path"] = str(config.admin_socket)

    resources = bootstrap["static_resources"]
    listener = resources["listeners"][0]
    _set_address(listener, config.http_host, config.http_port)
    if config.tls_certificate and config.tls_key:
        listener["filter_chains"][0]["transport_socket"] = transport_socket(config.certificate_file)
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    manager["xff_num_trusted_hops"] = config.trusted_proxies
    _set_access_log(manager, config.access_log_path)
    # By name, as their order is that in which a request passes them and may change.
    filters = {entry["name"]: entry["typed_config"] for entry in manager["http_filters"]}
    for filter_name, script in _SCRIPTS.items():
        filters[filter_name]["default_source_code"] = {"inline_string": _script(script, config.edge_secret)}
    filters["envoy.filters.http.grpc_json_transcoder"]["proto_descriptor"] = str(asset("gen/descriptors.binpb"))

    if not config.limits_enabled:
        manager["http_filters"] = [entry for entry in manager["http_filters"] if entry["name"] not in _LIMITS]

    host = manager["route_config"]["virtual_hosts"][0]
    if config.edge_secret is not None:
        host["request_headers_to_add"].append(_proof(config.edge_secret))
    for route in host["routes"]:
        # A native caller brings its own deadline.
        if any(header["name"] == "x-rest" for header in route["match"].get("headers", ())):
            route["route"]["timeout"] = f"{config.rest_timeout_seconds}s"
        if "metadata" in route:
            route["metadata"]["filter_metadata"]["envoy.filters.http.lua"]["cors_origins"] = list(config.cors_origins)

    _set_replicas(resources["clusters"][0], config)
    path = directory / "envoy.yaml"
    # It may hold what the edge proves itself by.
    write_private_file(path, yaml_text(bootstrap))
    return path


def _set_access_log(manager: dict[str, Any], path: Path) -> None:
    log = next(entry for entry in manager["access_log"] if entry["name"] == "envoy.access_loggers.file")
    log["typed_config"]["path"] = str(path)
    limit = next(
        each["extension_filter"] for each in log["filter"]["or_filter"]["filters"] if "extension_filter" in each
    )
    source = limit["typed_config"]["dynamic_config"]["config_source"]
    source["path_config_source"]["path"] = str(asset("envoy/refused_lines.yaml"))


def make_private(directory: Path) -> None:
    """Make a directory that only its owner can look into, or take the others' rights to one that is there."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)


def _proof(secret: str) -> dict[str, Any]:
    # Envoy would take a per cent sign for the beginning of a command.
    header = {"key": _PROOF, "value": secret.replace("%", "%%")}
    return {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def _script(path: str, edge_secret: str | None) -> str:
    """Return a script with the modules that it requires, and what the edge proves itself by, in front of it.

    Lua would look for `gen.edge` in the directory that Envoy runs in, which is the repository only for who starts it by
    hand.
    """
    script = asset(path).read_text(encoding="utf-8")
    # Printable ASCII, whose escapes are the same in JSON and in Lua.
    proof = "" if edge_secret is None else f"dc1_edge_proof = {json.dumps(edge_secret)}\n"
    modules = {name: f'package.preload["{name}"] = function()\n{text}end\n' for name, text in _required(script)}
    return f"{proof}{''.join(modules.values())}{script}"


def _required(script: str) -> Iterator[tuple[str, str]]:
    """Yield the modules that a script requires with their texts, and those that they do, some more than once."""
    for name in _REQUIRES.findall(script):
        text = asset(f"{name.replace('.', '/')}.lua").read_text(encoding="utf-8")
        yield name, text
        yield from _required(text)


def _set_replicas(cluster: dict[str, Any], config: EdgeConfig) -> None:
    """Spread the cluster over the replicas, of which there may be one.

    Raises:
        EdgeError: some have Unix sockets and others addresses, which Envoy looks for in different ways.
    """
    if all(upstream.startswith(_UNIX) for upstream in config.upstreams):
        addresses = [{"pipe": {"path": upstream.removeprefix(_UNIX)}} for upstream in config.upstreams]
    elif any(upstream.startswith(_UNIX) for upstream in config.upstreams):
        raise EdgeError("DC1_UPSTREAMS: all servers have to be Unix sockets, or none of them.")
    else:
        # Names are looked up again and again: a replica that moves to another address is found without a restart.
        cluster |= {"type": "STRICT_DNS", "dns_lookup_family": "V4_PREFERRED"}
        addresses = [_tcp(*_host_and_port(upstream)) for upstream in config.upstreams]
    cluster["load_assignment"]["endpoints"][0]["lb_endpoints"] = [
        {"endpoint": {"address": address}} for address in addresses
    ]


def _tcp(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def _host_and_port(upstream: str) -> tuple[str, int]:
    """Return the two parts of `host:port`, an IPv6 address without its brackets.

    Raises:
        EdgeError: it has no such form.
    """
    host, _, port = upstream.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) <= _LAST_PORT:
        raise EdgeError(f"DC1_UPSTREAMS: {upstream!r} is not host:port, nor unix:/path.")
    host = host.strip("[]")
    return WILDCARDS.get(host, host), int(port)


def _set_address(holder: dict[str, Any], host: str, port: int) -> None:
    holder["address"] = _tcp(_resolved(host), port)
    if host == "::":
        # Every address of the machine means those of IPv4 too, whatever the system's default is.
        holder["address"]["socket_address"]["ipv4_compat"] = True


def _resolved(host: str) -> str:
    """Return the IP address of a host, as Envoy listens on no names; of a name that has both, that of IPv4.

    Raises:
        EdgeError: it has none.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise EdgeError(f"DC1_HTTP_HOST: {host} has no address.") from None
    return str(min(found, key=lambda entry: entry[0] is not socket.AF_INET)[4][0])
