"""What `curl …/install.sh | sh` is given; that it installs is tried on a bare Debian in tests/ops."""

import io
import re
import subprocess
import zipfile
from hashlib import sha256
from importlib.metadata import version

import pytest

from dc1.testing.rest import Rest

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


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--keyfile", "x"], "dc1: --keyfile is no option."),
        (["--key-file"], "dc1: --key-file needs a value."),
        (["--upgrade"], "dc1: There is no daemon in {home}/.local/share/dc1 to upgrade."),
    ],
)
def test_what_it_cannot_do_it_says(rest: Rest, tmp_path: object, words: list[str], sentence: str) -> None:
    # As anybody but root, who would be looked up in /opt.
    text = script(rest).replace('"$(id -u)"', "1000")
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    command = ["sh", "-s", "--", *words]
    run = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=30, env=environment)
    assert (run.returncode, run.stderr.splitlines()[-1]) == (1, sentence.format(home=tmp_path))


def test_there_is_nothing_else(rest: Rest) -> None:
    for name in ("nothing", "install.py", "..%2Fpyproject.toml"):
        assert rest.get(f"/install/{name}").status_code == 404
