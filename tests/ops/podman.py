"""Podman with a storage of its own, an image made of this checkout, and containers of it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BASE = "localhost/dc1-test/debian:latest"
IMAGE = "localhost/dc1-test/dc1:latest"
_PROGRAMS = {"podman": "podman", "runc": "runc", "mmdebstrap": "mmdebstrap"}
_CERTIFICATES = Path("/etc/ssl/certs")
# With what the default base has or is given: Python, certificates, what gRPC and the engine need, and users.
# On a disk that may lose it: it lives for a minute.
_DEBIAN = (
    "--dpkgopt=force-unsafe-io",
    "--variant=essential",
    "--include=python3-venv,ca-certificates,libgomp1,libstdc++6,passwd",
    "bookworm",
)
# Where this machine trusts more authorities than others do, pip has to as well.
TRUSTING = ("--volume", f"{_CERTIFICATES}:{_CERTIFICATES}:ro", "--env", f"PIP_CERT={_CERTIFICATES}/ca-certificates.crt")
_ULIMITS = ("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096")
# A build on a machine that does other things as well.
_SECONDS = 600.0


class Podman:
    """Runs one command of Podman after the other."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        (directory / "containers.conf").write_text("[containers]\ndefault_ulimits = []\n")

    def __call__(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command, to its end."""
        places = {"root": "root", "runroot": "run", "tmpdir": "tmp"}
        done = subprocess.run(
            [
                "podman",
                *(part for option, name in places.items() for part in (f"--{option}", str(self._directory / name))),
                *("--runtime", "runc", "--cgroup-manager", "cgroupfs", "--storage-driver", "vfs"),
                *("--events-backend", "file", *words),
            ],
            cwd=self._directory,
            env={**os.environ, "CONTAINERS_CONF": str(self._directory / "containers.conf")},
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done

    @contextmanager
    def serving(self, name: str, *options: str, role: str) -> Iterator[None]:
        """Run our image in a role while the block runs: with a read-only root and without any capability."""
        hardened = ("--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges")
        with self.running(name, *hardened, *options, IMAGE, role):
            yield

    @contextmanager
    def running(self, name: str, *words: str) -> Iterator[None]:
        """Run a container while the block runs, on this machine's network."""
        self("run", "--detach", "--name", name, "--network", "host", *_ULIMITS, *words)
        try:
            yield
        except BaseException:
            # It is gone afterwards, with what it had to say.
            print(self("logs", name, check=False))
            raise
        finally:
            self("rm", "--force", "--time", "5", name, check=False)


def require_podman() -> None:
    """Skip the test where an image cannot be made, and say why."""
    missing = [package for program, package in _PROGRAMS.items() if shutil.which(program) is None]
    if missing:
        pytest.skip(f"no image can be made here: the packages {', '.join(missing)} are not installed")
    if os.geteuid() != 0:
        pytest.skip("no image can be made here: its base, a small Debian, is put together by root")


def make_base(directory: Path) -> Path:
    """Put a small Debian together from the packages of the machine's mirror: no registry of images is asked."""
    archive = directory / "base.tar"
    made = ["mmdebstrap", "--quiet", *_DEBIAN, str(archive)]
    subprocess.run(made, check=True, timeout=_SECONDS)
    return archive


def make_image(podman: Podman, base: Path) -> None:
    """Build the image of the Containerfile on that base."""
    podman("import", str(base), BASE)
    podman(
        *("build", "--format", "docker", "--layers=false", "--network", "host", "--isolation", "chroot", *TRUSTING),
        *("--build-arg", f"BASE={BASE}", "--build-arg", "REQUIREMENTS=-r /src/requirements/runtime.txt"),
        *("--tag", IMAGE, str(ROOT)),
    )
