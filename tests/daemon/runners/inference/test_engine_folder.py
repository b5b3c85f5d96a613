"""The folder of the built-in engine's socket, beside those of daemons that live and that were killed."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dc1.daemon.runners.inference.engine_folder import EngineFolder

_DAEMON = """
from dc1.daemon.runners.inference.engine_folder import EngineFolder
folder = EngineFolder()
folder.socket.touch()
print(folder.socket.parent, flush=True)
input()
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files are, so that no other daemon's are looked at."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def other() -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another daemon, and its folder."""
    with subprocess.Popen(
        [sys.executable, "-c", _DAEMON], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def test_what_a_killed_daemon_left_goes_with_the_next_start(
    place: Path, other: tuple[subprocess.Popen[str], Path]
) -> None:
    process, left = other
    beside = EngineFolder()
    assert {left, beside.socket.parent} == {*place.iterdir()}, "that of one that lives stays"
    process.kill()
    process.wait()
    assert left.exists()
    following = EngineFolder()
    assert {beside.socket.parent, following.socket.parent} == {*place.iterdir()}
    beside.remove()
    following.remove()
    assert not [*place.iterdir()]


def test_what_is_no_folder_of_an_engine_stays(place: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (place / "dc1-llamacpp-link").symlink_to(elsewhere)
    (place / "dc1-llamacpp-full").mkdir()
    (place / "dc1-llamacpp-full" / "letter").touch()
    (place / "dc1-llamacpp-file").touch()
    before = {*place.rglob("*"), elsewhere}
    EngineFolder().remove()
    assert before == {*place.rglob("*"), elsewhere}
    assert elsewhere.exists()
