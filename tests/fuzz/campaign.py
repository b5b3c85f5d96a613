"""schemathesis against the OpenAPI document that a whole market serves through Envoy."""

import os
import subprocess
import sys
from pathlib import Path

from dc1.testing.market import LocalMarket
from dc1.testing.server import ADMIN_TOKEN

_CONFIGURATION = Path(__file__).with_name("schemathesis.toml")


def furnish(market: LocalMarket) -> None:
    """Bring jobs 1 to 5 into every state that one can stay in, and give the other lists something to show."""
    renter, provider = market.add_renter(), market.add_provider()
    market.admin.adjust(renter.id, 100_000)
    done, failed, cancelled = (renter.submit() for _ in range(3))
    market.next_job(provider)
    provider.logs(done["id"], ["one line"])
    provider.result(done["id"])
    market.next_job(provider)
    provider.post(f"/jobs/{failed['id']}/fail", {"error": "no"})
    renter.cancel(cancelled["id"])
    renter.submit()
    market.next_job(provider)
    renter.submit()
    provider.post("/providers/daemon-event", {"event_type": "crash", "details": {"code": 1}})
    market.register_provider()


def fuzz(market: LocalMarket, *arguments: str, output: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run `schemathesis run` with our configuration and these arguments; it has failed when anything was found."""
    url = market.edge.url
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(_CONFIGURATION), "run"]
    return subprocess.run(
        [*command, f"{url}/docs/openapi.yaml", "--url", url, *arguments],
        env={
            **os.environ,
            "DC1_FUZZ_URL": url,
            "DC1_FUZZ_ADMIN_TOKEN": ADMIN_TOKEN,
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        text=True,
        check=False,
    )
