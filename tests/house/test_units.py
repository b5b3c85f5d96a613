"""The units for systemd leave little to whoever takes over a process, and keep secrets off its command line."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import typer.main

from dc1.cli.app import app

UNITS = sorted((Path(__file__).parents[2] / "ops" / "systemd").glob("*.service"))
MOST_EXPOSED = 3.0


def settings(unit: Path, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_every_unit_is_hardened(unit: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("There is no `systemd-analyze` here (Debian: apt install systemd), so nothing can judge units.")
    command = [analyze, "security", "--offline=true", "--no-pager", str(unit)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    (exposure,) = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert float(exposure) < MOST_EXPOSED, said


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_reads_its_secrets_as_its_user_can(unit: Path) -> None:
    """They are root's: systemd hands them over, and the command names files by options that there are."""
    (command,) = settings(unit, "ExecStart")
    words = command.split()
    root: object = typer.main.get_command(app)
    known = {option for parameter in root.commands[words[1]].params for option in parameter.opts}  # type: ignore[attr-defined]  # groups have them
    assert {word for word in words if word.startswith("--")} <= known
    handed = {credential.partition(":")[0] for credential in settings(unit, "LoadCredential")}
    named = set(re.findall(r"%d/(\S+)", " ".join([command, *settings(unit, "Environment")])))
    assert named == handed != set()
    assert "/etc/" not in command


def test_the_daemon_s_unit_leaves_it_the_cards() -> None:
    (unit,) = [unit for unit in UNITS if unit.name == "dc1-daemon.service"]
    assert settings(unit, "DeviceAllow") == ["char-nvidia* rw"]
    assert settings(unit, "PrivateDevices") == []
