"""The README's examples, run as they stand against a real server behind real Envoy."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dc1.domain.access.webhooks import signature
from dc1.testing.market import LocalMarket
from dc1.testing.server import ADMIN_TOKEN
from tests.contract.inference.chat import serve
from tests.docs.readme import block

_SECONDS = 60


def run(command: list[str], market: LocalMarket, **keys: str) -> str:
    """What a command prints; `keys` are environment variables beside the address and the admin token."""
    program = shutil.which(command[0])
    if program is None:
        pytest.skip(f"there is no {command[0]} on this machine")
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DC1_URL": market.edge.url,
        "DC1_ADMIN_TOKEN": ADMIN_TOKEN,
        **keys,
    }
    ended = subprocess.run(
        [program, *command[1:]], check=False, env=environment, capture_output=True, text=True, timeout=_SECONDS
    )
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.parametrize(
    ("heading", "interpreter"),
    [
        ("cURL", ["bash", "-euo", "pipefail", "-c"]),
        ("Python", [sys.executable, "-W", "error", "-c"]),
        ("Node", ["node", "--input-type=module", "-e"]),
    ],
)
def test_the_four_core_calls(market: LocalMarket, heading: str, interpreter: list[str]) -> None:
    provider = market.register_provider()
    market.admin.approve(provider.id)

    output = run([*interpreter, block(heading).text], market, DC1_PROVIDER_KEY=provider.key)

    stats = market.admin.stats()
    assert (stats["total_renters"], stats["online_now"], stats["total_jobs"]) == (1, 1, 1)
    assert "job-" in output


def test_inference_with_an_openai_client(market: LocalMarket) -> None:
    renter, daemon = market.add_renter(), market.connect(market.add_provider())
    example = [sys.executable, "-W", "error", "-c", block("Inference with an OpenAI client").text]
    with ThreadPoolExecutor(1) as pool:
        pool.submit(serve, daemon, "It scatters ", "blue light.")
        output = run(example, market, DC1_RENTER_KEY=renter.key)

    assert output.split() == ["It", "scatters", "blue", "light.", renter.job(1)["job_id"], "500", "tokens"]


def test_webhooks_are_told_from_forgeries(market: LocalMarket) -> None:
    body, secret = b'{"event":"job.completed"}', "whsec_0123456789abcdef"
    claims = [
        (secret, body, signature(secret, body)),
        (secret, body + b" ", signature(secret, body)),
        (secret, body, ""),
    ]
    example = f"{block('Webhooks').text}\nprint([is_ours(*claim) for claim in {claims!r}])"

    assert run([sys.executable, "-W", "error", "-c", example], market) == "[True, False, False]\n"


def test_the_dashboard_by_grpcurl(market: LocalMarket) -> None:
    command = block("gRPC").text.replace("localhost:8083", market.edge.target)

    output = run(["bash", "-euo", "pipefail", "-c", command], market)

    assert json.loads(output)["stats"]["timestamp"] == market.now()
