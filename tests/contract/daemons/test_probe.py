"""A machine is measured by the product's own daemon, through Envoy, and what was proved is shown."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from dc1.control.probing.prober import BEING_MEASURED
from dc1.domain.providers.measurements import Measurement
from dc1.testing.edge import Edge
from dc1.testing.market import LocalMarket
from dc1.testing.people import answered
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.waiting import eventually

pytestmark = pytest.mark.settings(probe_interval_seconds=86_400)


def measured(market: LocalMarket, provider: PollDaemon) -> Measurement | None:
    known = market.server.market.fleet.known(provider.id)
    outcome = known.probe_outcome
    assert outcome in {None, BEING_MEASURED} or known.measurement is not None, outcome
    return known.measurement


@pytest.fixture
def daemon(market: LocalMarket, edge: Edge) -> Iterator[PollDaemon]:
    """A provider whose daemon is a process of its own."""
    provider = market.register_provider()
    market.admin.approve(provider.id)
    command = [sys.executable, "-m", "dc1.cli", "daemon", "--no-cpu-engine", "--no-containers"]
    known = {**os.environ, "DC1_SERVER": edge.target, "DC1_PROVIDER_KEY": provider.key}
    with subprocess.Popen(command, env=known, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        yield provider
        process.terminate()


def test_a_real_daemon_is_measured_once_it_may_work(market: LocalMarket, daemon: PollDaemon) -> None:
    """Contract 4.8."""
    proved = eventually(lambda: measured(market, daemon), "the measurement", 30)
    assert proved is not None
    assert proved.tops_int8 > 0
    assert proved.memory_gbps > 0
    figures = {"tops_int8": proved.tops_int8, "memory_gbps": proved.memory_gbps, "probed_at": market.now()}
    shown = daemon.account()
    assert figures.items() <= shown.items()
    assert shown["probe_outcome"].endswith("on the cpu")
    assert figures.items() <= answered(market.rest.get("/renters/available-providers"))["providers"][0].items()

    path = f"/admin/providers/{daemon.id}/probe"
    began, cpu = time.monotonic(), time.process_time()
    assert answered(market.admin.post(path)) == {"success": True, "provider_id": daemon.id}
    # One at a time.
    beside = market.admin.post(path)
    known = market.server.market.fleet.known(daemon.id)
    while known.probe_outcome == BEING_MEASURED:
        time.sleep(0.05)
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    assert known.measurement is not None, known.probe_outcome
    print(
        f"between offer and verdict the server took {cpu:.3f} s of a core, with all that it does besides, in {seconds:.1f} s"
    )
    # A server that computed the rounds itself would take seconds.
    assert cpu < 0.5
    assert beside.status_code == 409
    assert beside.json()["error"].startswith("The machine cannot be probed now")
