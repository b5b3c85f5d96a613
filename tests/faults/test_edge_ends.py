"""Envoy is killed while a job runs, and started again."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dc1.edge import EdgeConfig, Envoy
from dc1.testing.edge import Edge, free_port
from dc1.testing.people import Renter
from tests.faults.market import RealMarket, await_status, submit


@pytest.fixture
def config(edge: Edge, tmp_path: Path) -> EdgeConfig:
    """A second edge before the same server."""
    return replace(edge.config, directory=tmp_path / "envoy", http_port=free_port())


@pytest.fixture
def envoy(edge: Edge, config: EdgeConfig) -> Iterator[Envoy]:
    envoy = Envoy(config)
    edge.loop.run(envoy.start())
    yield envoy
    edge.loop.run(envoy.stop())


# An edge of a busy machine may take longer to start than the two seconds that a provider has here elsewhere.
@pytest.mark.settings(stream_grace_seconds=30)
def test_streams_come_back_after_the_edge_s_death(
    edge: Edge, config: EdgeConfig, envoy: Envoy, market: RealMarket, renter: Renter
) -> None:
    provider = market.add_provider(f"127.0.0.1:{config.http_port}")
    job = submit(renter)
    run = provider.engine.next_request()
    await_status(renter, job, "running")

    envoy.kill()
    edge.loop.run(envoy.wait())
    run.answer("the tide comes in.")
    edge.loop.run(envoy.start())
    market.await_stream(provider, 2)

    done = await_status(renter, job, "completed")
    assert (done["attempt_number"], done["retry_count"]) == (1, 0)
    assert len(provider.engine.requests) == 1
    assert provider.earned == done["provider_earned_halala"] > 0
    submit(renter)
    provider.engine.next_request()
