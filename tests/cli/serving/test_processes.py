"""`dc1 up`, `serve` and `daemon` as a person runs them: real processes, real Envoy, real signals."""

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
from pathlib import Path

import httpx
import pytest

from dc1.testing.edge import free_port
from dc1.testing.market import LocalMarket
from dc1.testing.waiting import eventually
from tests.cli.conftest import Run, Start
from tests.cli.processes import START_SECONDS, is_running
from tests.support.ports import listening_ports
from tests.support.private import open_to_others, opened_for_others, unix_listeners


@pytest.fixture
def ports() -> dict[str, str]:
    return {"DC1_HTTP_PORT": str(free_port())}


def test_up_serves_until_ctrl_c_and_leaves_nothing_behind(start: Start, ports: dict[str, str], run: Run) -> None:
    up = start("up", cold=True, **ports)
    words = up.says("serves until Ctrl-C")
    url = f"http://127.0.0.1:{ports['DC1_HTTP_PORT']}"
    up.says("data ")
    children = up.children()

    (token,) = re.findall(r"until this stops it is (\S+)", words)
    assert httpx.get(f"{url}/health").json()["status"] == "ok"
    assert run("admin", "dashboard", "--url", url, "--token", token).exit_code == 0
    assert token not in up.stderr

    data = up.data_dir
    assert not [path for path in (data / "dc1.sqlite3", *(data / "envoy").iterdir()) if path.stat().st_mode & 0o077]

    second = start("up", **ports)
    assert second.process.wait(START_SECONDS) == 1
    assert second.stderr.startswith(f"Port {ports['DC1_HTTP_PORT']} on 127.0.0.1 is taken")
    assert len(second.stderr.splitlines()) == 1
    assert second.stdout == ""

    assert up.end(signal.SIGINT) == 0
    assert children
    assert not any(is_running(pid) for pid in children)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health")


OLDER = (
    "dc1.sqlite3.lock",
    "secret.key",
    "run/grpc.sock.lock",
    "envoy/access.log",
    "envoy/envoy.log",
    "envoy/envoy.yaml",
)


@pytest.mark.parametrize("umask", ["000", "022"])
@pytest.mark.parametrize("upgraded", [False, True])
def test_no_other_user_can_open_anything_that_a_market_makes(
    start: Start, ports: dict[str, str], tmp_path: Path, umask: str, upgraded: bool
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o755)
    if upgraded:
        # As an earlier version left them under a careless umask, or a backup that was copied back.
        with contextlib.closing(sqlite3.connect(data / "dc1.sqlite3")) as database:
            database.execute("PRAGMA journal_mode=WAL")
        for name in OLDER:
            (data / name).parent.mkdir(exist_ok=True)
            (data / name).write_text("ab" * 32 if name == "secret.key" else "")
        for path in data.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
    settings = {"DC1_DATA_DIR": str(data), "DC1_GRPC_PORT": "", **ports}
    up = start("up", under=("sh", "-c", f'umask {umask}; exec "$@"', "sh"), **settings)
    up.says("serves until Ctrl-C")
    registration = {"name": "Noura Salem", "email": "noura@example.sa", "organization": "x"}
    url = f"http://127.0.0.1:{ports['DC1_HTTP_PORT']}"
    assert httpx.post(f"{url}/renters/register", json=registration).is_success
    pids = [up.process.pid, *up.children()]
    assert len(pids) == 2
    assert open_to_others(data) == []
    assert opened_for_others(pids, [up.data_dir / "stdout", up.data_dir / "stderr"]) == []
    assert set().union(*map(listening_ports, pids)) == {int(ports["DC1_HTTP_PORT"])}
    assert sorted(unix_listeners(pids)) == [str(data / "envoy/admin.sock"), str(data / "run/grpc.sock")]
    assert not any("token" in Path(f"/proc/{pid}/cmdline").read_text() for pid in pids)
    assert up.end(signal.SIGTERM) == 0
    assert open_to_others(data) == []


@pytest.mark.parametrize("host", ["::", "[::1]", "::1"])
def test_a_market_is_reached_on_ipv6_and_says_so_in_brackets(
    start: Start, ports: dict[str, str], run: Run, host: str
) -> None:
    up = start("up", **ports, DC1_HTTP_HOST=host, DC1_GRPC_HOST=host, DC1_GRPC_PORT="0", DC1_ADMIN_TOKEN="t" * 32)
    words = up.says("serves until Ctrl-C") and up.says("data ")
    port = ports["DC1_HTTP_PORT"]
    assert f"http://[{host.strip('[]')}]:{port} " in words
    assert run("admin", "dashboard", "--url", f"http://[::1]:{port}", "--token", "t" * 32).exit_code == 0
    if host == "::":
        assert run("admin", "dashboard", "--url", f"http://127.0.0.1:{port}", "--token", "t" * 32).exit_code == 0
    key = json.loads(
        run(
            "provider",
            "register",
            "--name",
            "GPU",
            "--email",
            "gpu@example.sa",
            "--gpu-model",
            "CPU",
            "--json",
            "--url",
            f"http://[::1]:{port}",
        ).stdout
    )["api_key"]
    assert run("admin", "approve", "1", "--url", f"http://[::1]:{port}", "--token", "t" * 32).exit_code == 0
    daemon = start("daemon", "--server", f"[::1]:{port}", "--no-containers", DC1_PROVIDER_KEY=key)
    eventually(lambda: "connected" in daemon.stderr, "the daemon connecting", START_SECONDS)


@pytest.mark.parametrize("command", ["up", "serve"])
def test_a_server_that_waits_for_its_database_says_why_and_ends_when_it_is_told(
    start: Start, ports: dict[str, str], command: str
) -> None:
    url = "postgresql://u:secret@127.0.0.1:1/x"
    waiting = start(command, DC1_DATABASE_URL=url, DC1_ADMIN_TOKEN="letmein", **ports)
    words = eventually(lambda: waiting.stderr, "the server saying that it waits", START_SECONDS)
    assert "database_not_reached" in words
    assert "u:***@127.0.0.1:1" in words
    assert "secret" not in words
    assert "Connection refused" in words
    assert waiting.end(signal.SIGINT) == 0
    assert waiting.stdout == ""


@pytest.fixture
def certificate(tmp_path: Path) -> dict[str, str]:
    """The settings of a certificate for this machine's loopback."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl on this machine to make a certificate with")
    files = {"DC1_TLS_CERTIFICATE": str(tmp_path / "tls.crt"), "DC1_TLS_KEY": str(tmp_path / "tls.key")}
    sign(files)
    return files


def sign(files: dict[str, str]) -> None:
    """Put a new certificate, which signs itself, where the settings say."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    out = ["-out", files["DC1_TLS_CERTIFICATE"], "-keyout", files["DC1_TLS_KEY"]]
    subprocess.run([*command.split(), *names, *out], check=True, capture_output=True)


def test_rest_and_the_stream_over_tls_and_a_certificate_that_is_renewed(
    start: Start, ports: dict[str, str], run: Run, certificate: dict[str, str]
) -> None:
    up = start("up", **ports, **certificate, DC1_ADMIN_TOKEN="secret")
    assert "https://" in up.says("REST and gRPC").split("REST and gRPC")[1].split("\n")[0]
    address = f"localhost:{ports['DC1_HTTP_PORT']}"
    trusting = {"DC1_URL": f"https://{address}", "SSL_CERT_FILE": certificate["DC1_TLS_CERTIFICATE"]}
    settings = {**ports, **certificate, "DC1_DATA_DIR": str(up.data_dir)}
    assert [run("health", *part, **settings).exit_code for part in ([], ["--server"])] == [0, 0]

    untrusting = run("renter", "providers", DC1_URL=f"https://{address}")
    assert (untrusting.exit_code, untrusting.stdout) == (1, "")
    assert "is not trusted" in untrusting.stderr

    account = ["--name", "GPU", "--email", "gpu@example.sa", "--gpu-model", "CPU"]
    key = json.loads(run("provider", "register", *account, "--json", **trusting).stdout)["api_key"]
    assert run("admin", "approve", "1", **trusting).exit_code == 0
    daemon = start(
        *("daemon", "--server", address, "--tls", "--ca-file", certificate["DC1_TLS_CERTIFICATE"], "--no-containers"),
        DC1_PROVIDER_KEY=key,
    )
    eventually(
        lambda: "online" in run("provider", "me", "--key", key, **trusting).stdout,
        "the daemon connecting",
        START_SECONDS,
    )

    # Renewed: the next start has it at the latest, and the daemon trusts it though it has run since before.
    sign(certificate)
    assert up.end(signal.SIGTERM) == 0
    up = start("up", **ports, **certificate, DC1_ADMIN_TOKEN="secret", DC1_DATA_DIR=str(up.data_dir))
    eventually(
        lambda: daemon.stderr.count(" connected ") >= 2, f"the daemon coming back: {daemon.stderr}", START_SECONDS
    )
    assert daemon.end(signal.SIGTERM) == 0
    assert up.end(signal.SIGTERM) == 0
    ended = run("health", **settings)
    assert (ended.exit_code, "is not well" in ended.stderr) == (1, True)


def test_up_says_when_envoy_dies(start: Start, ports: dict[str, str]) -> None:
    up = start("up", **ports)
    up.says("serves until Ctrl-C")
    (envoy,) = up.children()

    os.kill(envoy, signal.SIGKILL)

    assert up.process.wait(START_SECONDS) == 1
    assert up.stderr.splitlines()[-1].startswith("Envoy ended by itself, with status -9")


def test_an_admin_token_file_is_made_once_and_kept(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "token"
    tokens = set()
    for _ in range(2):
        serve = start("serve", "--admin-token-file", str(file))
        assert "DC1_ADMIN_TOKEN" not in serve.says("The server runs")
        tokens.add(file.read_text())
        assert serve.end(signal.SIGTERM) == 0

    assert len(tokens) == 1
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_setting_that_is_none_is_told_without_its_value(start: Start) -> None:
    serve = start("serve", DC1_TOPUP_ENABLE="hunter2", DC1_URL="http://127.0.0.1:1")
    serve.says("The server runs")
    assert serve.end(signal.SIGTERM) == 0
    (line,) = (line for line in serve.stderr.splitlines() if "unknown_setting" in line)
    assert "variable=DC1_TOPUP_ENABLE" in line
    assert "hunter2" not in serve.stderr


def test_production_makes_no_admin_token(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "token"
    serve = start("serve", "--admin-token-file", str(file), DC1_ENVIRONMENT="production")

    assert serve.process.wait(START_SECONDS) == 1
    assert serve.stderr.startswith(f"{file} does not exist")
    assert not file.exists()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"DC1_HTTP_HOST": "host.invalid"}, "Port {port} on host.invalid cannot be opened"),
        ({"DC1_TLS_CERTIFICATE": __file__}, "DC1_TLS_CERTIFICATE and DC1_TLS_KEY belong together"),
        ({"DC1_DATA_DIR": __file__}, "Envoy's files cannot be written (DC1_DATA_DIR)"),
    ],
)
def test_an_edge_that_cannot_be_opened_says_so_in_one_sentence(
    start: Start, ports: dict[str, str], settings: dict[str, str], sentence: str
) -> None:
    edge = start("edge", **{**ports, **settings})

    assert edge.process.wait(START_SECONDS) == 1
    (line,) = edge.stderr.splitlines()
    assert sentence.format(port=ports["DC1_HTTP_PORT"]) in line
    assert edge.stdout == ""


def test_two_servers_on_one_sqlite_file(start: Start, tmp_path: Path) -> None:
    shared = {
        "DC1_DATABASE_URL": f"sqlite:///{tmp_path}/market.sqlite3",
        "DC1_ADMIN_TOKEN": "secret",
    }
    first = start("serve", **shared)
    first.says("The server runs")

    second = start("serve", **shared)
    assert second.process.wait(START_SECONDS) == 1
    assert second.stderr.endswith(f"another server works on {tmp_path}/market.sqlite3; give this one its own.\n")

    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait()
    third = start("serve", **shared)
    third.says("The server runs")
    assert third.end(signal.SIGTERM) == 0


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"DC1_ENVIRONMENT": "production"}, "DC1_ADMIN_TOKEN is not set"),
        ({"DC1_ENVIRONMENT": "production", "DC1_ADMIN_TOKEN": "a"}, "DC1_ADMIN_TOKEN has 1 characters"),
        ({"DC1_TLS_KEY": "/etc/dc1/tls.key"}, "DC1_TLS_CERTIFICATE and DC1_TLS_KEY belong together"),
        ({"DC1_DATA_DIR": "/proc/nowhere"}, "DC1_DATA_DIR"),
    ],
)
def test_settings_that_cannot_be_used_are_one_sentence(start: Start, settings: dict[str, str], sentence: str) -> None:
    serve = start("serve", **settings)

    assert serve.process.wait(START_SECONDS) == 1
    (line,) = serve.stderr.splitlines()
    assert sentence in line


def test_a_daemon_with_a_key_nobody_knows_says_so(market: LocalMarket, start: Start, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("dc1-provider-nobody\n")

    daemon = start("daemon", "--server", market.edge.target, "--key-file", str(key), "--no-containers")

    assert daemon.process.wait(START_SECONDS) == 1
    assert "Traceback" not in daemon.stderr
    assert "dc1-provider-nobody" not in daemon.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_daemon_drains_when_it_is_asked_to_end(market: LocalMarket, start: Start, number: signal.Signals) -> None:
    provider = market.register_provider()
    market.admin.approve(provider.id)
    daemon = start("daemon", "--server", market.edge.target, "--no-containers", DC1_PROVIDER_KEY=provider.key)
    eventually(lambda: provider.account()["is_live"], "the daemon connecting", START_SECONDS)

    assert daemon.end(number) == 0
    assert "draining" in daemon.stderr
    assert provider.key not in daemon.stderr


@pytest.mark.parametrize("command", ["up", "serve"])
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT])
def test_a_server_drains_when_its_terminal_closes(
    start: Start, ports: dict[str, str], command: str, number: signal.Signals
) -> None:
    serving = start(command, **ports)
    serving.says("until Ctrl-C")
    children = serving.children()

    assert serving.end(number) == 0
    assert [word in serving.stderr for word in ("draining", "stopped")] == [True, True]
    assert not any(is_running(pid) for pid in children)


def test_an_edge_ends_in_order_when_its_terminal_closes(start: Start, ports: dict[str, str]) -> None:
    edge = start("edge", **ports)
    edge.says("until Ctrl-C")
    children = edge.children()

    assert edge.end(signal.SIGHUP) == 0
    assert not any(is_running(pid) for pid in children)


def test_an_edge_that_is_replaced_finishes_the_answers_under_way(
    start: Start, ports: dict[str, str], market: LocalMarket
) -> None:
    edge = start("edge", DC1_UPSTREAMS=f"unix:{market.edge.grpc_socket}", DC1_DRAIN_SECONDS="30", **ports)
    edge.says("until Ctrl-C")
    url = f"http://127.0.0.1:{ports['DC1_HTTP_PORT']}"
    renter = market.add_renter()
    job = renter.submit()["job_id"]

    def is_closed() -> bool:
        # One that waits to be accepted as the port is closed is reset.
        with contextlib.suppress(httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError):
            httpx.get(f"{url}/health")
            return False
        return True

    with httpx.stream("GET", f"{url}/jobs/{job}/logs/stream", headers={"x-renter-key": renter.key}) as stream:
        edge.process.send_signal(signal.SIGTERM)
        eventually(is_closed, "new connections going elsewhere", START_SECONDS)
        renter.cancel(job)
        assert "event: end" in stream.read().decode()
    assert edge.process.wait(START_SECONDS) == 0


@pytest.mark.parametrize("command", ["serve", "daemon", "demo"])
def test_what_nohup_started_lives_on_when_its_terminal_closes(market: LocalMarket, start: Start, command: str) -> None:
    provider = market.register_provider()
    market.admin.approve(provider.id)
    arguments = (command, "--server", market.edge.target, "--no-containers") if command == "daemon" else (command,)
    process = start(*arguments, under=("nohup",), DC1_PROVIDER_KEY=provider.key)
    if command == "daemon":
        eventually(lambda: provider.account()["is_live"], "the daemon connecting", START_SECONDS)
    else:
        process.says({"serve": "until Ctrl-C", "demo": "Envoy and the server answer"}[command])

    process.process.send_signal(signal.SIGHUP)
    try:
        # What it would have ended by is no status of its own.
        assert (command, process.process.wait(2)) == ("demo", 0)
    except subprocess.TimeoutExpired:
        assert process.end(signal.SIGTERM) == (143 if command == "demo" else 0)
