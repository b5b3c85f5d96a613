"""The examples, run as they stand against a real server behind real Envoy."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dc1.domain.access.webhooks import new_secret, signature, standard_headers
from dc1.testing.market import LocalMarket
from dc1.testing.server import ADMIN_TOKEN
from tests.contract.inference.chat import serve
from tests.docs.pages import ROOT

_SECONDS = 60
_INTERPRETERS = {
    ".sh": ["bash"],
    ".py": [sys.executable, "-W", "error"],
    ".mjs": ["node"],
    ".ts": ["node"],
    "": [],
}
# The environment's own Node first, which reads TypeScript.
_PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"


def run(name: str | Path, market: LocalMarket, *arguments: str, **keys: str) -> str:
    """What an example prints; `keys` are environment variables beside the addresses and the admin token."""
    command = [*_INTERPRETERS[Path(name).suffix], str(ROOT / "examples" / name), *arguments]
    program = shutil.which(command[0], path=_PATH)
    if program is None:
        pytest.skip(f"there is no {command[0]} on this machine")
    environment = {
        "PATH": _PATH,
        "DC1_URL": market.edge.url,
        "DC1_TARGET": market.edge.target,
        "DC1_ADMIN_TOKEN": ADMIN_TOKEN,
        **keys,
    }
    command[0] = program
    ended = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=_SECONDS)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.parametrize("name", ["core_calls.sh", "core_calls.py", "core_calls.mjs"])
def test_the_four_core_calls(market: LocalMarket, name: str) -> None:
    provider = market.register_provider()
    market.admin.approve(provider.id)

    output = run(name, market, DC1_PROVIDER_KEY=provider.key)

    stats = market.admin.stats()
    assert (stats["total_renters"], stats["online_now"], stats["total_jobs"]) == (1, 1, 1)
    assert "job-" in output


def test_openai_chat_streams_an_answer_and_counts_its_tokens(market: LocalMarket) -> None:
    renter, daemon = market.add_renter(), market.connect(market.add_provider())
    with ThreadPoolExecutor(1) as pool:
        pool.submit(serve, daemon, "It scatters ", "blue light.")
        output = run("openai_chat.py", market, DC1_RENTER_KEY=renter.key)

    assert output.split() == ["It", "scatters", "blue", "light.", renter.job(1)["job_id"], "13", "tokens"]


def test_follow_job_shows_the_text_as_it_comes_and_the_bill(market: LocalMarket) -> None:
    renter, daemon = market.add_renter(), market.connect(market.add_provider())
    with ThreadPoolExecutor(1) as pool:
        pool.submit(serve, daemon, "It scatters ", "blue light.")
        output = run("follow_job.py", market, "Why is the sea blue?", DC1_RENTER_KEY=renter.key)

    job = renter.job(1)
    assert job["params"] == {"prompt": "Why is the sea blue?"}
    *told, last, bill = output.splitlines()
    assert last == "completed"
    # Text that passes before the stream is open is in the output only.
    assert "It scatters blue light.".endswith("".join(told))
    assert bill == f"It scatters blue light. {job['actual_cost_halala']} halala"


@pytest.mark.parametrize(("name", "last"), [("client_jobs.py", "halala"), ("client_chat.py", " tokens")])
def test_the_client(market: LocalMarket, name: str, last: str) -> None:
    renter, daemon = market.add_renter(), market.connect(market.add_provider())
    with ThreadPoolExecutor(1) as pool:
        pool.submit(serve, daemon, "It scatters ", "blue light.")
        output = run(name, market, "Why is the sea blue?", DC1_RENTER_KEY=renter.key)

    assert renter.job(1)["status"] == "completed"
    assert "It scatters blue light." in output
    assert output.rstrip().endswith(last)


def test_http_daemon_runs_one_job(market: LocalMarket) -> None:
    renter, provider = market.add_renter(), market.add_provider()
    assert run("http_daemon.py", market, DC1_PROVIDER_KEY=provider.key) == "no work: NO_PENDING_JOBS\n"
    renter.submit(params={"prompt": "Why is the sea blue?"})

    output = run("http_daemon.py", market, DC1_PROVIDER_KEY=provider.key)

    job = renter.job(1)
    assert (job["status"], job["attempt_number"]) == ("completed", 1)
    assert output == f"earned {job['provider_earned_halala']} halala\n"


def test_verify_webhook_tells_ours_from_forgeries() -> None:
    found: dict[str, Callable[[str, bytes, str], bool]] = {}
    exec((ROOT / "examples" / "verify_webhook.py").read_text(encoding="utf-8"), found)
    body, secret = b'{"event":"job.completed"}', "whsec_0123456789abcdef"

    assert found["is_ours"](secret, body, signature(secret, body))
    assert not found["is_ours"](secret, body + b" ", signature(secret, body))
    assert not found["is_ours"](secret, body, "")


def test_verify_webhook_reads_the_standard_headers() -> None:
    found: dict[str, Callable[[str, bytes, dict[str, str]], bool]] = {}
    exec((ROOT / "examples" / "verify_webhook.py").read_text(encoding="utf-8"), found)
    body, secret, now = b'{"event":"job.completed"}', new_secret(), int(time.time())
    headers = standard_headers(secret, "whd_1", now, body)

    assert found["is_standard"](secret, body, headers)
    assert not found["is_standard"](secret, body + b" ", headers)
    assert not found["is_standard"](secret, body, {**headers, "webhook-id": "whd_2"})
    assert not found["is_standard"](secret, body, standard_headers(secret, "whd_1", now - 600, body))


def generate(*options: str) -> None:
    """Make code of the descriptors that are committed, offline."""
    subprocess.run([Path(sys.executable).parent / "buf", "generate", *options], cwd=ROOT, check=True, timeout=_SECONDS)


def watches_a_job(market: LocalMarket, program: str | Path) -> None:
    renter, daemon = market.add_renter(), market.connect(market.add_provider())
    with ThreadPoolExecutor(1) as pool:
        pool.submit(serve, daemon, "It scatters ", "blue light.")
        output = run(program, market, "Why is the sea blue?", DC1_RENTER_KEY=renter.key)

    assert output == f"It scatters blue light. {renter.job(1)['actual_cost_halala']} halala\n"


def test_watch_job_in_typescript(market: LocalMarket) -> None:
    generate()
    # Without the settings that are the console's, and with types as a project of somebody else has them.
    strict = ("--ignoreConfig", "--strict", "--noEmit", "--skipLibCheck", "--target", "es2023", "--module", "nodenext")
    node = str(Path(sys.executable).parent / "node")
    compiler = [node, "node_modules/.bin/tsc", *strict, "--types", "", "examples/watch_job.ts"]
    compiled = subprocess.run(compiler, cwd=ROOT, check=False, capture_output=True, text=True, timeout=_SECONDS)
    assert compiled.returncode == 0, compiled.stdout

    watches_a_job(market, "watch_job.ts")


@pytest.mark.timeout(900)
def test_watch_job_in_go(market: LocalMarket, tmp_path: Path) -> None:
    """With Debian's packages of Go's libraries: they need no proxy for modules."""
    libraries = Path("/usr/share/gocode")
    wanted = [tool for tool in ("go", "protoc-gen-go", "protoc-gen-go-grpc") if shutil.which(tool) is None]
    if wanted or not (libraries / "src/google.golang.org/grpc").is_dir():
        pytest.skip(f"there is no {' '.join(wanted) or 'golang-google-grpc-dev'} on this machine")
    generate("--template", "buf.gen.go.yaml")
    places = {"GOPATH": f"{ROOT}/build/generate/go:{libraries}", "GOCACHE": f"{ROOT}/build/go"}
    program, source = tmp_path / "watch_job", ROOT / "examples" / "watch_job.go"
    build = ["go", "build", "-o", str(program), str(source)]
    # The most of it are the libraries, 33 s of a core, which `.ci/run` compiles while the packages of Python come.
    subprocess.run(build, cwd=ROOT, check=True, timeout=840, env={**os.environ, "GO111MODULE": "off", **places})

    watches_a_job(market, program)


def test_dashboard_by_grpcurl(market: LocalMarket) -> None:
    output = run("dashboard_grpcurl.sh", market)

    assert json.loads(output)["stats"]["timestamp"] == market.now()


def test_every_example_is_run_here() -> None:
    told = Path(__file__).read_text(encoding="utf-8")
    names = [path.name for path in (ROOT / "examples").iterdir() if path.is_file() and path.name != "README.md"]

    assert [name for name in sorted(names) if f'"{name}"' not in told] == []
