"""The units for systemd leave little to whoever takes over a process, and keep secrets off its command line."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer.main

from dc1.cli.app import app
from dc1.daemon.errors import KeyInUseError

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
    called: Any = typer.main.get_command(app)
    for word in words[1:]:
        called = getattr(called, "commands", {}).get(word, called)
    known = {option for parameter in called.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known
    handed = {credential.partition(":")[0] for credential in settings(unit, "LoadCredential")}
    named = set(re.findall(r"%d/(\S+)", " ".join([command, *settings(unit, "Environment")])))
    assert named == handed
    # A backup copies what is sealed as it is.
    assert handed or unit.name == "dc1-backup.service"
    assert "/etc/" not in command


def system_calls(name: str) -> set[str]:
    """Return the system calls of a set, sets in it resolved."""
    command = [shutil.which("systemd-analyze") or "systemd-analyze", "syscall-filter", "--no-pager", name]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()[1:]
    words = [word for line in lines if (word := line.strip()) and not word.startswith("#")]
    return set().union(*(system_calls(word) if word.startswith("@") else {word} for word in words))


def test_the_server_s_unit_lets_it_give_its_socket_to_a_group() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("There is no `systemd-analyze` here (Debian: apt install systemd), so nothing can resolve filters.")
    (unit,) = [unit for unit in UNITS if unit.name == "dc1.service"]
    allowed: set[str] = set()
    for entry in settings(unit, "SystemCallFilter"):
        allowed = allowed - system_calls(entry[1:]) if entry.startswith("~") else allowed | system_calls(entry)
    assert {"chown", "fchownat"} <= allowed
    assert allowed & system_calls("@privileged") == system_calls("@chown")
    # All else is read-only to it: the directory of such a socket has to be made for it, and to be entered by the edge.
    assert settings(unit, "RuntimeDirectory") == ["dc1"]
    (mode,) = settings(unit, "RuntimeDirectoryMode")
    assert int(mode, 8) & 0o133 == 0o111


def test_the_daemon_s_unit_is_not_started_again_while_another_daemon_has_its_key() -> None:
    (unit,) = [unit for unit in UNITS if unit.name == "dc1-daemon.service"]
    assert settings(unit, "RestartPreventExitStatus") == [str(KeyInUseError.exit_status)]


def test_the_daemon_s_unit_leaves_it_the_cards() -> None:
    (unit,) = [unit for unit in UNITS if unit.name == "dc1-daemon.service"]
    assert settings(unit, "DeviceAllow") == ["char-nvidia* rw"]
    assert settings(unit, "PrivateDevices") == []


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine's root directory, after what docs/operating.md has an operator do before the unit starts."""
    if os.geteuid() != 0 or shutil.which("systemd-sysusers") is None:
        pytest.skip("Users and what they own are made by root, with systemd (Debian: apt install systemd).")
    etc = tmp_path / "etc" / "dc1"
    etc.mkdir(parents=True)
    for name in ("admin-token", "secret-key", "provider-key", "tls.crt", "tls.key"):
        (etc / name).write_text(f"{name}\n")
    for tool, folder in (("systemd-sysusers", "sysusers.d"), ("systemd-tmpfiles", "tmpfiles.d")):
        create = ["--create"] if tool == "systemd-tmpfiles" else []
        command = [tool, *create, f"--root={tmp_path}", str(UNITS[0].parent / folder / "dc1.conf")]
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return tmp_path


def test_the_units_user_is_made_and_reads_what_it_has_to(machine: Path) -> None:
    users = (line.split(":") for line in (machine / "etc" / "passwd").read_text().splitlines())
    ((uid, gid),) = [(int(fields[2]), int(fields[3])) for fields in users if fields[0] == "dc1"]
    assert {user for unit in UNITS for user in settings(unit, "User")} == {"dc1"}
    assert 0 not in (uid, gid)
    rights = {
        file.name: (file.stat().st_mode & 0o777, file.stat().st_uid, file.stat().st_gid)
        for file in (machine / "etc" / "dc1").iterdir()
    }
    secret, shared = (0o600, 0, 0), (0o640, 0, gid)
    # Every file that a unit names is there, also where its operator has made none.
    named = {Path(path).name for unit in UNITS for path in settings(unit, "EnvironmentFile")}
    assert {name: rights[name] for name in named} == dict.fromkeys(named, shared)
    handed = {Path(entry.partition(":")[2]).name for unit in UNITS for entry in settings(unit, "LoadCredential")}
    assert {name: rights[name] for name in handed} == dict.fromkeys(handed, secret)
    assert rights["tls.key"] == shared
