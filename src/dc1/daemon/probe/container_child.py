"""The process that has a probe computed in a container: what it is asked goes in, what comes out goes on."""

import base64
import contextlib
import io
import json
import os
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any

from docker.errors import ImageNotFound
from docker.types import DeviceRequest
from docker.utils.socket import frames_iter

from dc1.daemon.runners.container.engine import ENGINE_ERRORS, NoEngineError, connect_engine, traits
from dc1.domain.providers.measurements import Device

_CHILD = "dc1.daemon.probe.probe_child"
# What that program is made of; nothing else of this daemon is in the container.
_MODULES = (
    _CHILD,
    "dc1.daemon.probe.array_library",
    "dc1.daemon.probe.torch_library",
    "dc1.daemon.runners.child",
    "dc1.domain.base.json_types",
    "dc1.domain.probe.answering",
    "dc1.domain.probe.arithmetic",
    "dc1.domain.probe.commitment",
    "dc1.domain.probe.generation",
    "dc1.domain.probe.rounds",
    "dc1.domain.providers.measurements",
)
# Images have Python 3.10, too, which lacks two names. The alarm is for a daemon that is gone without a word: whatever
# engine this is, the GPU is free again when the server has long forgotten the probe.
_START = """
import base64, enum, io, runpy, signal, sys, tempfile, typing
signal.alarm(150)
if not hasattr(enum, "StrEnum"):
    class StrEnum(str, enum.Enum):
        __str__ = str.__str__
    enum.StrEnum, typing.Self = StrEnum, typing.Any
with tempfile.NamedTemporaryFile(suffix=".zip") as program:
    program.write(base64.b64decode(sys.argv.pop(1)))
    program.flush()
    sys.path.insert(0, program.name)
    runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""
_NOBODY = "65534:65534"
_STDOUT = 1


def _program() -> str:
    """Return the program as an archive that Python imports from, in base64."""
    root, packed = Path(__file__).parents[3], io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for module in _MODULES:
            path = Path(*module.split(".")).with_suffix(".py")
            archive.write(root / path, str(path))
        for package in {
            "/".join(module.split(".")[:depth]) for module in _MODULES for depth in range(1, module.count(".") + 1)
        }:
            archive.writestr(f"{package}/__init__.py", "")
    return base64.b64encode(packed.getvalue()).decode()


def _create(client: Any, image: str, device: Device, seed: str) -> Any:
    return client.containers.create(
        image,
        entrypoint=["python3", "-c", _START, _program(), _CHILD, device.value, seed],
        command=[],
        # Its input ends with whoever holds it, and with its input the program.
        stdin_open=True,
        auto_remove=True,
        user=_NOBODY,
        network_mode="none",
        read_only=True,
        tmpfs={"/tmp": "rw,noexec,nosuid,size=64m"},  # noqa: S108 -- inside the container
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true", f"seccomp={traits(client).seccomp}"],
        environment={"HOME": "/tmp", **dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")},  # noqa: S108
        device_requests=[DeviceRequest(count=1, capabilities=[["gpu"]])] if device is Device.GPU else [],
    )


def _pass_in(socket: Any, container: Any) -> None:
    with contextlib.suppress(OSError):
        while data := os.read(0, 65536):
            socket.sendall(data)
    with contextlib.suppress(*ENGINE_ERRORS):
        container.remove(force=True)
    os._exit(0)


def main() -> None:
    """Start the container, and pass on what is said until either side is gone."""
    events = os.fdopen(os.dup(1), "wb", 0)
    os.dup2(2, 1)
    device, seed, image, base_url = Device(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4] or None
    try:
        client = connect_engine(base_url)
        container = _create(client, image, device, seed)
        attached = container.attach_socket(params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        container.start()
    except ImageNotFound:
        # Gigabytes are not for the minute that a server waits; the first job that orders the image brings it, too.
        reason = f"the image {image} is not on this machine yet"
    except (NoEngineError, *ENGINE_ERRORS) as error:
        reason = f"no container could be started to be measured in: {error}"
    else:
        threading.Thread(target=_pass_in, args=(attached._sock, container), daemon=True).start()
        for stream, data in frames_iter(attached, tty=False):
            (events if stream == _STDOUT else sys.stderr.buffer).write(data)
        with contextlib.suppress(*ENGINE_ERRORS):
            container.remove(force=True)
        sys.exit(1)
    events.write(json.dumps({"event": "failed", "reason": reason[:300]}).encode() + b"\n")


if __name__ == "__main__":
    main()
