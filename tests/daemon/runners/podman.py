"""A real container engine for the tests: Podman's Docker-compatible service on a socket of its own, storage of its own.

No image is pulled. One is made of a static busybox, another, for what a shell cannot ask, of the tests' own Python.
"""

import contextlib
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dc1.daemon.runners.container.engine import NoEngineError, connect_engine
from dc1.daemon.runners.container.guard_image import interpreter, python_archive
from dc1.domain.base.json_types import JsonValue

IMAGE = "localhost/dc1-test/busybox:latest"
PYTHON_IMAGE = "localhost/dc1-test/python:latest"
_PACKAGES = {"podman": "podman", "runc": "runc", "busybox": "busybox-static"}
_APPLETS = (
    "sh",
    "cat",
    "dd",
    "echo",
    "env",
    "head",
    "id",
    "ip",
    "ls",
    "sleep",
    "tail",
    "touch",
    "true",
    "unshare",
    "yes",
)
# Limits the engine would raise beyond what a build machine's own limits allow.
_CONTAINERS_CONF = "[containers]\ndefault_ulimits = []\n"
_START_SECONDS = 20


@dataclass(frozen=True)
class Engine:
    """A running engine: its address, and the image it has."""

    base_url: str
    image: str


class Service:
    """Podman's service in a directory, which can be ended and started again; its containers run on meanwhile."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.base_url = f"unix://{directory}/api.sock"
        self._process: subprocess.Popen[bytes] | None = None
        (directory / "containers.conf").write_text(_CONTAINERS_CONF)
        (directory / "packages").mkdir(exist_ok=True)

    def start(self) -> None:
        """Start it, and wait until it answers.

        Raises:
            NoEngineError: it does not; the text has what it said.
        """
        directory = self._directory
        options = {"root": "root", "runroot": "run", "tmpdir": "tmp"}
        self._process = subprocess.Popen(
            [
                "podman",
                *(part for option, name in options.items() for part in (f"--{option}", str(directory / name))),
                *("--runtime", "runc", "--cgroup-manager", "cgroupfs", "--storage-driver", "vfs"),
                *("--events-backend", "file"),
                *("system", "service", "--time", "0", self.base_url),
            ],
            # Where a container runs out of memory, its monitor leaves a file "oom".
            cwd=directory,
            env={
                **os.environ,
                "CONTAINERS_CONF": str(directory / "containers.conf"),
                # Whenever it tells of itself it asks which packages its parts are from: of a list of none, for a tenth.
                "DPKG_ADMINDIR": str(directory / "packages"),
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        _wait_until_it_answers(self._process, self.base_url)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        if self._process is not None:
            self._process.terminate()
            self._process.communicate(timeout=30)

    def kill(self) -> None:
        """End it at once."""
        assert self._process is not None
        self._process.kill()
        self._process.communicate(timeout=30)


def start_engine(directory: Path) -> Iterator[Engine]:
    """Start the service in `directory` and stop it afterwards; skips the test, saying why, where that can't be had."""
    service = Service(directory)
    try:
        yield start_service(service)
    finally:
        service.stop()


def start_service(service: Service) -> Engine:
    """Start a service with the image that tests run; skips the test where the programs for it are missing."""
    missing = [package for program, package in _PACKAGES.items() if shutil.which(program) is None]
    if missing:
        pytest.skip(f"no container engine to test with: the packages {', '.join(missing)} are not installed")
    try:
        service.start()
    except NoEngineError as error:
        pytest.skip(f"no container engine to test with: {error}")
    _import_busybox(service.base_url)
    return Engine(service.base_url, IMAGE)


@contextlib.contextmanager
def short_directory() -> Iterator[Path]:
    """A temporary directory whose path leaves room for a socket's name."""
    directory = Path(tempfile.mkdtemp(prefix="dc1-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _wait_until_it_answers(service: "subprocess.Popen[bytes]", base_url: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and service.poll() is None:
        try:
            with contextlib.closing(connect_engine(base_url)):
                return
        except NoEngineError:
            time.sleep(0.1)
    service.terminate()
    _, said = service.communicate(timeout=30)
    raise NoEngineError(f"podman does not start here: {said.decode(errors='replace')[-500:]}")


def _import_busybox(base_url: str) -> None:
    busybox = shutil.which("busybox")
    assert busybox is not None
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(Path(busybox).resolve(), "bin/busybox")
        for name, mode in (("tmp", 0o1777), ("proc", 0o755), ("dev", 0o755), ("sys", 0o755), ("etc", 0o755)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            tar.addfile(entry)
        for applet in _APPLETS:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
    with contextlib.closing(connect_engine(base_url)) as client:
        client.api.import_image_from_data(archive.getvalue(), repository=IMAGE.rpartition(":")[0])
        client.images.get(IMAGE)


def import_python(base_url: str) -> None:
    """Make the image `PYTHON_IMAGE`: the interpreter with the modules that programs of these tests import, no more."""
    archive = python_archive("ctypes, errno, json, socket", {})
    with contextlib.closing(connect_engine(base_url)) as client:
        client.api.import_image_from_data(archive, repository=PYTHON_IMAGE.rpartition(":")[0])
        client.images.get(PYTHON_IMAGE)


def python_command(program: str) -> list[JsonValue]:
    """A command that runs a program with the interpreter of `PYTHON_IMAGE`."""
    return [*interpreter(), "-c", program]
