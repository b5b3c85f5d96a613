"""What `curl …/install.sh | sh` is given; that it installs is tried on a bare Debian in tests/ops."""

import io
import re
import subprocess
import zipfile
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import pytest

from dc1.testing.edge import Edge
from dc1.testing.rest import Rest

IN_CLEAR = "would be spoken to in clear, and everybody on the way could read the key: use https://, or say --insecure if the way is private."

pytestmark = pytest.mark.settings(installer_base_url="https://gpu.example.sa/it's")


def script(rest: Rest) -> str:
    answer = rest.get("/install.sh")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/x-shellscript; charset=utf-8")
    return answer.text


def test_every_file_that_the_script_names_is_what_it_says(rest: Rest) -> None:
    named = dict(
        reversed(line.split("  ")) for line in re.findall(r"[0-9a-f]{64}  \S+", script(rest).replace("'", "\n"))
    )
    files = {name: rest.get(f"/install/{name}").content for name in named}
    assert {name: sha256(data).hexdigest() for name, data in files.items()} == named
    wheel = f"dc1-{version('dc1')}-py3-none-any.whl"
    assert {wheel, "daemon.txt", "engine.txt", "model.txt", "dc1-daemon.service"} <= set(named)
    with zipfile.ZipFile(io.BytesIO(files[wheel])) as archive:
        names = set(archive.namelist())
        assert {"dc1/cli/app.py", "dc1/daemon/agent.py", "dcp/v1/daemon_stream_pb2.py"} <= names
        listed = archive.read(f"dc1-{version('dc1')}.dist-info/RECORD").decode().splitlines()
        assert {line.partition(",")[0] for line in listed} == names


def test_the_script_is_one_and_knows_its_market(rest: Rest) -> None:
    text = script(rest)
    subprocess.run(["sh", "-n"], input=text, text=True, check=True, timeout=30)
    helped = subprocess.run(
        ["sh", "-s", "--", "--help"], input=text, capture_output=True, text=True, check=True, timeout=30
    )
    assert f"Installs the daemon of https://gpu.example.sa/it's (dc1 {version('dc1')})." in helped.stdout


@pytest.fixture
def home(tmp_path: Path) -> Path:
    # The server has its own files beside it.
    made = tmp_path / "home"
    made.mkdir()
    return made


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--keyfile", "x"], "dc1: --keyfile is no option."),
        (["--key-file"], "dc1: --key-file needs a value."),
        (["--upgrade"], "dc1: There is no daemon in {home}/.local/share/dc1 to upgrade."),
        (["--url", "gpu.example.sa"], "dc1: --url has to begin with https:// or http://: gpu.example.sa"),
        ([], "dc1: Neither address may have quotes, backslashes or blanks in it."),
        (["--url", "http://gpu.example.sa"], f"dc1: http://gpu.example.sa {IN_CLEAR}"),
    ],
)
def test_what_it_cannot_do_it_says(rest: Rest, home: Path, words: list[str], sentence: str) -> None:
    run = as_owner(script(rest), home, *words)
    assert (run.returncode, run.stderr.splitlines()[-1]) == (1, sentence.format(home=home))
    assert list(home.iterdir()) == []


def as_owner(text: str, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the script as anybody but root, who would be looked up in /opt."""
    text = text.replace('"$(id -u)"', "1000")
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home)}
    command = ["sh", "-s", "--", *words]
    return subprocess.run(
        command, input=text, capture_output=True, text=True, check=False, timeout=120, env=environment
    )


@pytest.mark.settings(installer_base_url="https://gpu.example.sa/it's", rate_limits_enabled=True)
def test_where_many_install_at_once_it_waits_for_its_turn(rest: Rest, edge: Edge, home: Path) -> None:
    text = script(rest)
    wheel = f"/install/dc1-{version('dc1')}-py3-none-any.whl"
    answer = next(each for each in (rest.get(wheel) for _ in range(100)) if each.status_code != 200)
    assert (answer.status_code, answer.headers["retry-after"].isdecimal()) == (429, True)
    run = as_owner(text, home, "--url", f"http://{edge.target}")
    # Which it asks for when it has all the files.
    assert run.stderr.splitlines()[-1] == "dc1: The provider's key is needed once: --key-file FILE."


def test_a_key_that_the_market_does_not_take_changes_nothing(rest: Rest, edge: Edge, home: Path) -> None:
    key, kept = home / "key", home / ".config/dc1/provider-key"
    key.write_text("dc1-provider-0123456789abcdef0123456789abcdef\n")
    kept.parent.mkdir(parents=True)
    kept.write_text("the one of before")
    run = as_owner(script(rest), home, "--url", f"http://{edge.target}", "--key-file", str(key))
    assert f"The marketplace does not take the key in {key};" in run.stderr
    assert [path.read_text() for path in kept.parent.iterdir()] == ["the one of before"]
    assert not (home / ".local").exists()


@pytest.mark.parametrize("status", ["online", "paused", "suspended"])
def test_who_is_heard_is_waited_for_no_longer_whatever_keeps_work_from_it(rest: Rest, home: Path, status: str) -> None:
    """As at an upgrade of a machine that its owner has paused."""
    text = script(rest)
    parts = re.findall(r"^(?:say|fail)\(\) .*$|^await_online\(\) \{\n(?:.*\n)+?\}$", text, re.MULTILINE)
    stand_ins = f"""
        before='{status} 2026-03-22T19:00:10.000Z approved' config=. home=. url=http://127.0.0.1
        heard() {{ say "{status} 2026-03-22T19:00:20.000Z approved"; }}
        has_systemd() {{ false; }}
        running() {{ false; }}
        tell_log() {{ :; }}
    """
    waited = as_owner("\n".join(["set -eu", *parts, stand_ins, "await_online"]), home)
    assert (waited.returncode, waited.stderr) == (0, "")
    assert waited.stdout.splitlines()[-1].startswith("The ")


def test_of_a_script_that_came_in_part_nothing_runs(rest: Rest, home: Path) -> None:
    lines = script(rest).splitlines(keepends=True)
    for count in range(1, len(lines), 5):
        run = as_owner("".join(lines[:count]), home, "--help")
        assert run.stdout == "", count


def test_what_somebody_put_there_by_hand_stays(rest: Rest, home: Path) -> None:
    """As a marketplace in /opt/dc1, where the manual puts it."""
    own = home / ".local/share/dc1/bin/dc1"
    own.parent.mkdir(parents=True)
    own.touch()
    for words in (["--upgrade"], ["--remove"], ["--url", "https://gpu.example.sa", "--key-file", str(own)]):
        said = as_owner(script(rest), home, *words).stderr
        assert "that this script did not put there; nothing is changed." in said
    assert own.exists()


def test_a_number_that_is_another_process_by_now_is_not_stopped(rest: Rest, home: Path) -> None:
    """As after a restart of the machine, where the file of the daemon's number is left."""
    state = home / ".local/state/dc1-daemon"
    state.mkdir(parents=True)
    with subprocess.Popen(["sleep", "600"]) as other:
        (state / "daemon.pid").write_text(f"{other.pid}\n")
        assert as_owner(script(rest), home, "--remove").returncode == 0
        assert other.poll() is None
        other.kill()
    assert not state.exists()


def test_there_is_nothing_else(rest: Rest) -> None:
    for name in ("nothing", "install.py", "..%2Fpyproject.toml"):
        assert rest.get(f"/install/{name}").status_code == 404
