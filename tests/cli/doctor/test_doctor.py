"""The doctor: each thing, good and broken."""

import json
import socket
import struct
import sys
import threading
from email.utils import formatdate
from pathlib import Path

import pynvml
import pytest

from dc1.cli.doctor import checks, machine
from dc1.cli.doctor.checks import clock, connection, disk, encryption
from dc1.daemon.runners.inference.engine_llamacpp import bundled_model
from tests.cli.conftest import Run
from tests.cli.scripted_server import Reply, ScriptedServer
from tests.daemon.telemetry.nvml_library import Device, NvmlLibrary
from tests.support.small_disk import small_disk

HEALTHY = Reply({"status": "ok"})


@pytest.fixture(autouse=True)
def _healthy(server: ScriptedServer) -> None:
    server.on("GET /health", HEALTHY)


def findings(told: str) -> dict[str, str]:
    """What is said of each thing."""
    return {line.split()[0]: line for line in told.splitlines()[1:]}


def test_a_renter_for_whom_all_is_well(server: ScriptedServer, run: Run) -> None:
    server.on("GET /renters/me", Reply({}))

    result = run("doctor", "renter")

    assert result.exit_code == 0
    assert set(findings(result.stdout)) == {"DNS", "port", "marketplace", "clock", "key"}
    assert " bad " not in result.stdout


def test_a_tools_token_is_good_though_it_opens_little(server: ScriptedServer, run: Run) -> None:
    server.on("GET /admin/operators/me", Reply({}))

    assert " good " in findings(run("doctor", "operator").stdout)["key"]


def test_a_key_that_is_not_taken(server: ScriptedServer, run: Run) -> None:
    server.on("GET /renters/me", Reply({"error": "Invalid API key"}, 401))

    result = run("doctor", "renter")

    assert result.exit_code == 1
    assert "bad" in findings(result.stdout)["key"]
    assert "Invalid API key" in findings(result.stdout)["key"]


def test_something_else_answers(server: ScriptedServer, run: Run) -> None:
    server.on("GET /health", Reply("<html>", media_type="text/html"))

    assert "no dc1 marketplace" in findings(run("doctor", "renter").stdout)["marketplace"]
    server.on("GET /health", Reply("<html>", 502, "text/html"))
    assert "A proxy before it answers 502" in findings(run("doctor", "renter").stdout)["marketplace"]


def test_nobody_listens(run: Run) -> None:
    # Bound and not listened on: nobody else can take the port, and nobody answers there.
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        told = findings(run("doctor", "renter", "--url", f"http://127.0.0.1:{reserved.getsockname()[1]}").stdout)

    assert "bad" in told["port"]
    assert "bad" in told["marketplace"]


def test_a_name_that_nobody_has(no_proxies: None) -> None:
    (only,) = connection("https://nobody.invalid")

    assert (only.thing, only.is_good) == ("DNS", False)


def test_behind_a_proxy_it_need_not_be_found_without(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    # The scripted server takes a whole address for a path, as a proxy is asked.
    monkeypatch.setenv("http_proxy", server.url)
    server.on("GET http://nobody.invalid/health", HEALTHY)

    dns, market, _ = connection("http://nobody.invalid")
    assert (dns.is_good, market.is_good) == (None, True)
    # A documentation address, which nobody has; the port is refused or not reached at once.
    monkeypatch.setattr(checks, "_SECONDS", 0.2)
    server.on("GET http://192.0.2.1/health", HEALTHY)
    _, port, market, _ = connection("http://192.0.2.1")
    assert (port.is_good, market.is_good) == (None, True)


def test_scripts_read_json(server: ScriptedServer, run: Run) -> None:
    server.on("GET /renters/me", Reply({"error": "Invalid API key"}, 401))

    result = run("doctor", "renter", "--json")

    found = {one["thing"]: one for one in json.loads(result.stdout)["findings"]}
    assert result.exit_code == 1
    assert (found["port"]["is_good"], found["key"]["is_good"]) == (True, False)
    assert "Invalid API key" in found["key"]["told"]


@pytest.mark.parametrize(
    ("who", "missing", "extra"),
    [("owner", "dc1.cli.doctor.machine", "daemon"), ("operator", "dc1.storage.transfer.care", "server")],
)
def test_what_is_not_installed_is_said_beside_the_rest(
    run: Run, monkeypatch: pytest.MonkeyPatch, who: str, missing: str, extra: str
) -> None:
    # So Python remembers that there is none.
    monkeypatch.setitem(sys.modules, missing, None)

    told = findings(run("doctor", who).stdout)
    assert "good" in told["marketplace"]
    assert f"dc1[{extra}]" in told["installation"]


def test_a_port_that_does_not_speak_tls(server: ScriptedServer) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as stream:
        found = encryption(host, stream)

    assert (found.thing, found.is_good) == ("TLS", False)


@pytest.mark.parametrize(("behind", "is_good"), [(0, True), (30, True), (-3600, False), (3600, False)])
def test_a_clock_that_is_off(behind: int, is_good: bool) -> None:
    assert clock(formatdate(1_774_206_010 + behind, usegmt=True), 1_774_206_010).is_good is is_good
    assert clock("", 0).is_good is None


def test_an_owner_is_told_of_driver_engine_and_disk(server: ScriptedServer, run: Run) -> None:
    server.on("GET /providers/me", Reply({}))

    told = findings(run("doctor", "owner").stdout)

    assert {"driver", "containers", "disk"} <= set(told)


def told_of_the_machine(run: Run, *words: str, **variables: str) -> dict[str, str]:
    return findings(run("doctor", "owner", *words, **variables).stdout)


def test_a_card_that_fails_beside_one_that_works(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = Device("NVIDIA GeForce RTX 4090", "GPU-1", errors={"nvmlDeviceGetName": pynvml.NVML_ERROR_GPU_IS_LOST})
    library = NvmlLibrary(Device("NVIDIA GeForce RTX 4090", "GPU-0"), lost).install(monkeypatch)

    told = told_of_the_machine(run)["driver"]
    assert " bad " in told
    assert "580.95.05, 1 GPUs; GPU 1 is left out: GPU is lost" in told
    library.cards.remove(lost)
    assert " good " in told_of_the_machine(run)["driver"]


def test_a_card_whose_driver_does_not_load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    NvmlLibrary().install(monkeypatch).init_error = pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH
    # As an update of the driver has it before the machine is started anew.
    assert machine.driver(tmp_path).is_good is None
    card = tmp_path / "0000:01:00.0"
    card.mkdir()
    (card / "vendor").write_text("0x10de\n")
    (card / "class").write_text("0x030000\n")

    found = machine.driver(tmp_path)
    assert (found.is_good, "version mismatch" in found.told) == (False, True)


def test_a_driver_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    hangs = threading.Event()
    library = NvmlLibrary().install(monkeypatch)
    monkeypatch.setattr(machine, "_SECONDS", 0.05)
    monkeypatch.setitem(library._functions, "nvmlInitWithFlags", lambda _: hangs.wait(60) and 0)

    assert machine.driver().is_good is False
    hangs.set()


def test_an_engine_of_inference(run: Run, server: ScriptedServer) -> None:
    server.on("GET /v1/models", Reply({"data": [{"id": "qwen"}]}), Reply({"data": []}), Reply("<html>"))
    for is_good, said in (("good", "serves qwen"), ("bad", "no model"), ("bad", "does not speak the OpenAI API")):
        told = told_of_the_machine(run, DC1_ENGINE_URL=server.url)["engine"]
        assert f" {is_good} " in told
        assert said in told
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{reserved.getsockname()[1]}"
        told = told_of_the_machine(run, "--engine-url", f"http://owner:a-secret@{nobody}")["engine"]
    assert "bad" in told
    assert f"http://{nobody}/v1 cannot be reached" in told
    assert "a-secret" not in told
    for address in ("127.0.0.1:8000", "http://127.0.0.1:99999", "http://[::1"):
        assert "is given as a URL" in told_of_the_machine(run, DC1_ENGINE_URL=address)["engine"]


def test_the_built_in_engine(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "xllamacpp.py").write_text("raise ImportError('libcudart.so.12: cannot open shared object file')")
    monkeypatch.syspath_prepend(str(tmp_path))
    told = told_of_the_machine(run)["engine"]
    assert " bad " in told
    assert "libcudart.so.12" in told
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert " not known " in told_of_the_machine(run)["engine"]


@pytest.mark.model
def test_a_model_that_the_built_in_engine_is_to_serve(run: Run, tmp_path: Path) -> None:
    bundled, file = bundled_model(), tmp_path / "mine.gguf"
    assert bundled is not None
    file.symlink_to(bundled.file)
    assert " good " in (told := told_of_the_machine(run, "--model", str(file))["engine"])
    assert "135M" in told
    # As the daemon is given it, by the variable; what is no model of llama.cpp's, no file at all, and an engine beside.
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 0))
    for model, engine_url, said in (
        (broken, "", "did not load"),
        (tmp_path / "none.gguf", "", "none.gguf"),
        (file, "http://127.0.0.1:9", "of which a daemon serves one"),
    ):
        told = told_of_the_machine(run, DC1_MODEL=str(model), DC1_ENGINE_URL=engine_url)["engine"]
        assert " bad " in told
        assert said in told


def test_a_container_engine_that_is_named_and_not_there(run: Run, tmp_path: Path) -> None:
    for address in (f"unix://{tmp_path}/none.sock", "tcp://127.0.0.1:99999"):
        assert " bad " in told_of_the_machine(run, "--container-socket", address)["containers"]


def test_a_disk_that_is_full(tmp_path: Path, run: Run) -> None:
    with small_disk(1) as full:
        full.fill()
        assert " bad " in told_of_the_machine(run, HOME=str(full.directory))["disk"]
    # As of a user of the system's.
    assert disk(tmp_path / "none" / "at all").told == disk(tmp_path).told


def test_an_operator_is_told_of_settings_and_database(server: ScriptedServer, run: Run, tmp_path: Path) -> None:
    server.on("GET /admin/operators/me", Reply({}))

    told = findings(run("doctor", "operator", DC1_DATABASE_URL=f"sqlite:///{tmp_path}/none.sqlite3").stdout)
    assert "bad" in told["database"]
    assert "bad" in findings(run("doctor", "operator", DC1_HTTP_PORT="70000").stdout)["settings"]
