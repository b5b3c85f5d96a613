"""A real Prometheus reads a market: an alert comes when a daemon is killed, and goes when it is back."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.waiting import eventually
from tests.docs.pages import ROOT

# Two are usual; a machine that stands still for a while must not fail it.
_SECONDS = 60.0
_PATIENT = "scrape_interval: 15s"
_HASTY = "scrape_interval: 200ms\n  scrape_timeout: 200ms\n  evaluation_interval: 200ms"


@contextmanager
def prometheus(directory: Path, port: int) -> Iterator[httpx.Client]:
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("There is no Prometheus here (Debian: apt install prometheus).")
    rules = (ROOT / "ops/prometheus/alerts.yml").read_text(encoding="utf-8")
    configuration = (ROOT / "ops/prometheus/prometheus.yml").read_text(encoding="utf-8")
    # A minute of patience is for people.
    (directory / "alerts.yml").write_text(re.sub(r"for: \d+m", "for: 0s", rules))
    (directory / "prometheus.yml").write_text(configuration.replace(_PATIENT, _HASTY).replace("9464", str(port)))
    log = directory / "log"
    options = (f"--config.file={directory / 'prometheus.yml'}", f"--storage.tsdb.path={directory / 'data'}")
    with log.open("w") as written:
        process = subprocess.Popen([binary, *options, "--web.listen-address=127.0.0.1:0"], stderr=written)
    try:
        listening = re.compile(r"Listening on.* address=(127\.0\.0\.1:[1-9]\d*)")
        eventually(lambda: listening.search(log.read_text()), "Prometheus listening", _SECONDS)
        found = listening.search(log.read_text())
        assert found is not None
        with httpx.Client(base_url=f"http://{found[1]}/api/v1", trust_env=False) as client:
            yield client
    finally:
        process.terminate()
        process.wait()


def firing(client: httpx.Client) -> set[str]:
    answer = client.get("/alerts")
    if not answer.is_success:
        return set()
    alerts = answer.json()["data"]["alerts"]
    return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}


def is_up(client: httpx.Client) -> bool:
    answer = client.get("/query", params={"query": "up == 1 and on(instance) dc1_providers_silent == 0"})
    return answer.is_success and bool(answer.json()["data"]["result"])


def test_an_alert_comes_when_a_daemon_is_killed_and_goes_when_it_is_back(watched: LocalMarket, tmp_path: Path) -> None:
    provider = watched.register_provider()
    watched.admin.approve(provider.id)
    stream = watched.connect(provider)
    watched.server.look_at_market()
    with prometheus(tmp_path, watched.server.metrics_port) as client:
        eventually(lambda: is_up(client), "Prometheus having read the market", _SECONDS)
        assert "Dc1MachinesSilent" not in firing(client)

        watched.cut(stream)
        watched.server.look_at_market()
        eventually(lambda: "Dc1MachinesSilent" in firing(client), "the alert of a killed daemon", _SECONDS)

        watched.connect(provider)
        watched.server.look_at_market()
        eventually(lambda: "Dc1MachinesSilent" not in firing(client), "the alert going", _SECONDS)
