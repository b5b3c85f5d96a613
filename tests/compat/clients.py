"""Clients as their users have them: installed from locked requirements, unmodified, each in an environment."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dc1.testing.rest import Json

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".cache" / "compat"
"""Where clients are installed; a folder is made anew when its lock changes."""

DEV = "dev"
"""The environment that the tests themselves run in."""

NODE = "node"

_SECONDS = 280
_INSTALL_SECONDS = 1200
# uv, Node and npm are among what dc1 is developed with.
_TOOLS = str(Path(sys.prefix) / "bin")
_LOCKS = {NODE: HERE / "node" / "package-lock.json"}


class MissingError(Exception):
    """A client that could not be installed."""


def run(environment: str, *command: str, env: Mapping[str, str]) -> str:
    """Run a command of an environment to its end; return what it printed."""
    folder = _folder(environment)
    home = CACHE / "home"
    home.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join((str(folder / "bin"), _TOOLS, os.environ["PATH"]))
    done = subprocess.run(
        command,
        cwd=home,
        env={"PATH": path, "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1", **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def report(environment: str, script: str, env: Mapping[str, str]) -> Json:
    """Run a script that prints what came of each feature; return that."""
    program = "node" if environment == NODE else str(_folder(environment) / "bin" / "python")
    source = _folder(environment) / script if environment == NODE else HERE / "scripts" / script
    # The last line: some clients print before.
    said: Any = json.loads(run(environment, program, str(source), env=env).splitlines()[-1])
    assert isinstance(said, dict)
    return said


def _folder(environment: str) -> Path:
    """Return where an environment is, made if it was not there."""
    if environment == DEV:
        return Path(sys.prefix)
    lock = _LOCKS.get(environment, HERE / "environments" / f"{environment}.txt")
    folder = CACHE / f"{environment}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{environment}.lock").open("w") as alone:
        # Several processes run tests, one of them installs.
        fcntl.flock(alone, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            for old in CACHE.glob(f"{environment}-*"):
                shutil.rmtree(old)
            (_install_node if environment == NODE else _install_python)(folder, lock)
            (folder / "made").touch()
    if environment == NODE:
        for source in (HERE / "node").glob("*.mjs"):
            shutil.copy(source, folder)
    return folder


def _install_python(folder: Path, lock: Path) -> None:
    _installed("uv", "venv", "--quiet", "--python", sys.executable, folder)
    python = folder / "bin" / "python"
    _installed("uv", "pip", "install", "--quiet", "--python", python, "--require-hashes", "--no-deps", "-r", lock)


def _install_node(folder: Path, lock: Path) -> None:
    folder.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(lock.parent / name, folder)
    _installed("npm", "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder)


def _installed(*command: str | Path) -> None:
    try:
        path = os.pathsep.join((_TOOLS, os.environ["PATH"]))
        env = {**os.environ, "PATH": path}
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_INSTALL_SECONDS, env=env)
    except subprocess.CalledProcessError as failed:
        hint = "Clients are installed from the package registries, once; are they reachable?"
        raise MissingError(f"{hint}\n{failed.stderr[-2000:]}") from failed
