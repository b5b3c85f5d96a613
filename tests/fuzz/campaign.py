"""schemathesis against the OpenAPI document that a whole market serves through Envoy."""

import os
import subprocess
import sys
from pathlib import Path

from tests.stack.stack import ADMIN_TOKEN, Stack

_CONFIGURATION = Path(__file__).with_name("schemathesis.toml")


def furnish(stack: Stack) -> None:
    """Bring jobs 1 to 5 into every state that one can stay in, and give the other lists something to show."""
    renter, provider = stack.add_renter(), stack.add_provider()
    stack.admin.adjust(renter.id, 100_000)
    done, failed, cancelled = (renter.submit() for _ in range(3))
    stack.next_job(provider)
    provider.logs(done["id"], ["one line"])
    provider.result(done["id"])
    stack.next_job(provider)
    provider.post(f"/jobs/{failed['id']}/fail", {"error": "no"})
    renter.cancel(cancelled["id"])
    renter.submit()
    stack.next_job(provider)
    renter.submit()
    provider.post("/providers/daemon-event", {"event_type": "crash", "details": {"code": 1}})
    stack.register_provider()


def fuzz(stack: Stack, *arguments: str, output: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run `schemathesis run` with our configuration and these arguments; it has failed when anything was found."""
    url = stack.edge.url
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
