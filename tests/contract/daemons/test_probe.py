"""A machine is measured by the product's own daemon, through Envoy, and what was proved is shown."""

import asyncio
import time

import pytest

from dc1.control.probing.prober import BEING_MEASURED
from dc1.daemon.agent import Agent
from dc1.daemon.config import DaemonConfig
from dc1.daemon.runners.benchmark import BenchmarkRunner
from dc1.daemon.telemetry.machine import MachineTelemetry
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


async def test_a_real_daemon_is_measured_once_it_may_work(market: LocalMarket, edge: Edge) -> None:
    """Contract 4.8."""
    provider = await asyncio.to_thread(market.register_provider)
    config = DaemonConfig(key=provider.key, server=edge.target, approval_poll_seconds=0.1)
    agent = Agent(config, [BenchmarkRunner()], MachineTelemetry("4.0.0"))
    running = asyncio.create_task(agent.run())
    try:
        await asyncio.to_thread(market.admin.approve, provider.id)
        began = time.monotonic()
        proved = await asyncio.to_thread(eventually, lambda: measured(market, provider), "the measurement", 30)
        print(f"measured after {time.monotonic() - began:.1f} s: {proved}")
        shown = await asyncio.to_thread(provider.account)
        listed = await asyncio.to_thread(market.rest.get, "/renters/available-providers")
        again = await asyncio.to_thread(market.admin.post, f"/admin/providers/{provider.id}/probe")
        beside = await asyncio.to_thread(market.admin.post, f"/admin/providers/{provider.id}/probe")
    finally:
        agent.drain()
        agent.drain()
        await running
    assert proved is not None
    assert proved.tops_int8 > 0
    assert proved.memory_gbps > 0
    figures = {"tops_int8": proved.tops_int8, "memory_gbps": proved.memory_gbps, "probed_at": market.now()}
    assert figures.items() <= shown.items()
    assert shown["probe_outcome"].endswith("on the cpu")
    assert figures.items() <= answered(listed)["providers"][0].items()
    assert answered(again) == {"success": True, "provider_id": provider.id}
    # One at a time.
    assert beside.status_code == 409
    assert beside.json()["error"].startswith("The machine cannot be probed now")
