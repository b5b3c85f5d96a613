"""Finding and asking a container engine that speaks the Docker API: Docker itself, or Podman's socket."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException

_REQUEST_SECONDS = 60
# The SDK raises its own errors for refusals and requests' (which are OSErrors) for a connection that fails.
ENGINE_ERRORS = (DockerException, OSError)


class NoEngineError(Exception):
    """No container engine can be used; the text says what was tried."""


def connect_engine(base_url: str | None = None) -> Any:
    """Return a client of the engine at `base_url`, else of DOCKER_HOST, else of the first known socket that answers.

    Blocks for as long as the engines take to answer.

    Raises:
        NoEngineError: none of them can be used.
    """
    tried = []
    for url in [base_url] if base_url else _candidates():
        try:
            _knock(url)
            client = docker.DockerClient(base_url=url, version="auto", timeout=_REQUEST_SECONDS)
        except ENGINE_ERRORS as error:
            tried.append(f"{url}: {error}")
        else:
            return client
    raise NoEngineError("; ".join(tried) or "no Docker or Podman socket on this machine")


def offers_gpus(client: Any) -> bool:
    """Whether the engine can hand NVIDIA GPUs to containers (NVIDIA's container toolkit is set up)."""
    return "nvidia" in (client.info().get("Runtimes") or {})


def _knock(url: str) -> None:
    """See that somebody listens on a Unix socket: the SDK leaks a socket when nobody does."""
    if url.startswith("unix://"):
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as probe:
            probe.connect("/" + url.removeprefix("unix://").lstrip("/"))


def _candidates() -> Iterator[str]:
    if host := os.environ.get("DOCKER_HOST"):
        yield host
        # Who names an engine wants that one: falling back to another would run jobs where nobody looks for them.
        return
    runtime_dir = os.environ.get("XDG_RUNTIME_DIR", "")
    for path in (
        "/var/run/docker.sock",
        *((f"{runtime_dir}/docker.sock", f"{runtime_dir}/podman/podman.sock") if runtime_dir else ()),
        "/run/podman/podman.sock",
    ):
        if Path(path).exists():
            yield f"unix://{path}"
