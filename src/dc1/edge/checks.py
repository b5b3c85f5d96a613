"""Checks of what Envoy will need, made before it starts: its own complaints are for those who know Envoy."""

import socket
from pathlib import Path

from dc1.edge.certificate import check_certificate
from dc1.edge.config import EdgeConfig
from dc1.edge.errors import EdgeError
from dc1.ports import port_obstacle
from dc1.socket_paths import length_obstacle


def check(config: EdgeConfig) -> None:
    """Refuse a configuration that Envoy could not use, with EdgeError: ports, sockets, the certificate."""
    _check_port(config.http_host, config.http_port, "DC1_HTTP_PORT")
    _check_socket(config.admin_socket, "DC1_DATA_DIR")
    for upstream in config.upstreams:
        if upstream.startswith("unix:"):
            _check_length(Path(upstream.removeprefix("unix:")), "DC1_GRPC_SOCKET or DC1_UPSTREAMS")
    if config.tls_certificate and config.tls_key:
        check_certificate(config.tls_certificate, config.tls_key)


def _check_port(host: str, port: int, setting: str) -> None:
    """Open the port for a moment; port 0 always can be.

    Raises:
        EdgeError: the port cannot be opened, and why.
    """
    # Envoy shares its port with other processes that ask for it (SO_REUSEPORT), so a second edge would start without
    # complaint and take half of the first one's connections.
    if obstacle := port_obstacle(host, port, setting):
        raise EdgeError(obstacle)


def _check_socket(path: Path, setting: str) -> None:
    """Look whether another edge answers at the path, which a second one would take from it in silence.

    Raises:
        EdgeError: one does, or the path is too long.
    """
    _check_length(path, setting)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # What a killed Envoy left behind refuses, and is replaced.
        if probe.connect_ex(str(path)) == 0:
            raise EdgeError(f"Another edge keeps its files in {path.parent}; give this one a {setting} of its own.")


def _check_length(path: Path, setting: str) -> None:
    """Look at the length of a socket's path.

    Raises:
        EdgeError: it is longer than the kernel takes.
    """
    if obstacle := length_obstacle(path, setting):
        raise EdgeError(obstacle)
