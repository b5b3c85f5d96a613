"""`dc1 health`: whether what this machine or container serves answers, for those who start and stop it by that."""

import socket
from pathlib import Path
from typing import Any

import grpc
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc

from dc1.cli.errors import CommandError
from dc1.edge.config import WILDCARDS
from dc1.ports import joined
from dc1.settings.settings import Settings, SettingsError
from dc1.socket_paths import all_numbered

_SECONDS = 5.0


def check(*, server_alone: bool) -> str:
    """Return the address at which the edge, or the servers behind it, say that all is well.

    Raises:
        CommandError: nobody answers there, or not well; the text says which.
    """
    try:
        settings = Settings.load()
    except SettingsError as error:
        raise CommandError(str(error)) from None
    addresses = _servers(settings) if server_alone else [_edge(settings)]
    for address in addresses:
        if fault := _fault_of_server(address) if server_alone else _fault_of_edge(address):
            raise CommandError(f"{address} is not well: {fault}.")
    return ", ".join(addresses)


def _servers(settings: Settings) -> list[str]:
    """Return where servers listen on this machine, and where one would if none does."""
    if settings.grpc_address is not None:
        host, port = settings.grpc_address
        return [joined(WILDCARDS.get(host, host), port)]
    own = settings.resolved_grpc_socket
    # Whoever was killed has left its socket behind; and one of several that is started anew has none for a moment.
    found = [path for path in (own, *all_numbered(own)) if _is_listened_to(path)]
    return [f"unix:{path}" for path in found or [own]]


def _is_listened_to(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(_SECONDS)
        try:
            asking.connect(str(path))
        except TimeoutError:
            # There is somebody, who takes nobody in.
            return True
        except OSError:
            return False
    return True


def _edge(settings: Settings) -> str:
    host = WILDCARDS.get(settings.http_host, settings.http_host)
    return f"{'http' if settings.tls_certificate is None else 'https'}://{joined(host, settings.http_port)}/health"


def _fault_of_server(address: str) -> str | None:
    with grpc.insecure_channel(address) as channel:
        try:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=_SECONDS)
        except grpc.RpcError as error:
            return str(error.code().name).lower()
    return None if answer.status == health_pb2.HealthCheckResponse.SERVING else "it does not serve"


def _fault_of_edge(url: str) -> str | None:
    try:
        # Itself, by an address that its certificate need not have; nothing secret is said. And never by a proxy.
        answer = httpx.get(url, timeout=_SECONDS, verify=False, trust_env=False)  # noqa: S501
    except httpx.HTTPError as error:
        return str(error) or type(error).__name__
    return None if answer.is_success else f"status {answer.status_code}"
