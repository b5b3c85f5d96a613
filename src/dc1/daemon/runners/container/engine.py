"""Finding and asking a container engine that speaks the Docker API: Docker itself, or Podman's socket."""

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException

SECCOMP_PROFILE = Path(__file__).resolve().with_name("seccomp.json")
"""What containers of jobs may ask of the kernel."""

_REQUEST_SECONDS = 60
# Of a client that calls nothing under a version; without one it would ask for it.
_FOR_NOTHING = "1.41"
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
            client = docker.DockerClient(base_url=url, version=_spoken(url), timeout=_REQUEST_SECONDS)
        # The last for an address that is none.
        except (*ENGINE_ERRORS, ValueError) as error:
            tried.append(f"{url}: {error}")
        else:
            return client
    raise NoEngineError("; ".join(tried) or "no Docker or Podman socket on this machine")


def _spoken(url: str) -> str:
    """Return the version of the API that an engine speaks, or "auto" where it does not say so here."""
    # The SDK would ask for all that can be said of an engine's version, for which Podman looks up by the system's list
    # of packages where its parts come from: 0.65 s of a core each time.
    with contextlib.closing(docker.DockerClient(base_url=url, version=_FOR_NOTHING, timeout=_REQUEST_SECONDS)) as asker:
        said = asker.api.get(f"{asker.api.base_url}/_ping", timeout=_REQUEST_SECONDS)
    return str(said.headers.get("Api-Version", "auto")) if said.ok else "auto"


@dataclass(frozen=True, slots=True)
class EngineTraits:
    """What an engine is and can do."""

    version: str

    gpus: bool
    """Whether it can hand NVIDIA GPUs to containers (NVIDIA's container toolkit is set up)."""

    seccomp: str
    """The profile of system calls for containers of jobs, in the form this engine takes."""


def traits(client: Any) -> EngineTraits:
    """Ask an engine what it can do. Blocks until it has answered.

    Raises:
        NoEngineError: it cannot hold containers to a profile of system calls.
    """
    version, info = client.version(), client.info()
    if not any("name=seccomp" in str(option) for option in info.get("SecurityOptions") or ()):
        raise NoEngineError("the engine does not know seccomp, without which no container is locked in")
    components = version.get("Components") or ()
    # Docker takes the profile itself and nothing else, Podman the path of a file and nothing else.
    is_podman = any("podman" in str(component.get("Name")).casefold() for component in components)
    return EngineTraits(
        version=str(version.get("Version")),
        gpus="nvidia" in (info.get("Runtimes") or {}),
        seccomp=str(SECCOMP_PROFILE) if is_podman else SECCOMP_PROFILE.read_text(encoding="utf-8"),
    )


def require_listener(client: Any) -> None:
    """See that a client's engine listens, before it is asked what it may not hear. An OSError says that it does not."""
    # Where an engine is reached by TCP the SDK has no adapter of its own.
    path = getattr(getattr(client.api, "_custom_adapter", None), "socket_path", None)
    if path is not None:
        _knock(f"unix://{path}")


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
