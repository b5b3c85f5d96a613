"""The files of the installer in memory, by name."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from dc1.assets import asset
from dc1.services.system.installer.wheel import Wheel

SCRIPT = "install.sh"
_HERE = Path(__file__).parent
_PACKAGES = ("dc1", "dcp", "buf")
# With hashes of all that comes from elsewhere: what is installed is what this version was tried with.
_LOCKS = ("daemon.txt", "engine.txt", "model.txt")
_UNIT = "dc1-daemon.service"


@dataclass(frozen=True, slots=True)
class InstallerFile:
    """One file as it is sent."""

    media_type: str
    data: bytes


@cache
def installer_files(base_url: str) -> Mapping[str, InstallerFile]:
    """Return the script, which names the others by that address and their hashes, and these. Takes half a second."""
    others = {wheel.name: wheel.data for wheel in _wheels()}
    others |= {name: asset(f"requirements/{name}").read_bytes() for name in _LOCKS}
    others[_UNIT] = asset(f"ops/systemd/{_UNIT}").read_bytes()
    hashes = "".join(f"{sha256(data).hexdigest()}  {name}\n" for name, data in others.items())
    values = {"BASE_URL": base_url, "VERSION": distribution("dc1").version, "HASHES": hashes}
    head = "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())
    script = (_HERE / SCRIPT).read_text(encoding="utf-8").replace("# VALUES\n", head, 1)
    files = {name: InstallerFile("application/octet-stream", data) for name, data in others.items()}
    return {SCRIPT: InstallerFile("text/x-shellscript; charset=utf-8", script.encode()), **files}


@cache
def _wheels() -> tuple[Wheel, ...]:
    dc1 = Wheel(distribution("dc1"), _PACKAGES)
    try:
        # For machines whose Python came without: Debian has it in a package of its own.
        return dc1, Wheel(distribution("pip"), ("pip",))
    except PackageNotFoundError:
        return (dc1,)
