"""What a daemon tells Prometheus: its stream, its work and its cards."""

from typing import Any

import httpx
import pytest

from dc1.daemon.errors import DaemonError
from dc1.domain.base.json_types import JsonObject
from dc1.testing.machine import MadeUpMachine
from tests.daemon.loop.fake_server import FakeServer
from tests.daemon.loop.whole_daemon import DaemonUnderTest, connected, running_daemon
from tests.docs.pages import page
from tests.metrics.reading import OPEN_METRICS, families, samples, value
from tests.metrics.test_page import labels_in, labels_of, row_of, rows_of, without_labels

CARD: JsonObject = {
    "index": 0,
    "gpu_uuid": "GPU-1",
    "gpu_name": "NVIDIA H100",
    "gpu_util_pct": 55,
    "gpu_vram_mib": 81_559,
}


async def text_of(daemon: DaemonUnderTest) -> str:
    assert daemon.agent.exposition is not None
    url = f"http://127.0.0.1:{daemon.agent.exposition.port}/metrics"
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(url, headers={"Accept": OPEN_METRICS})).raise_for_status().text


async def read(daemon: DaemonUnderTest) -> dict[str, Any]:
    return samples(await text_of(daemon))


async def test_a_daemon_tells_of_its_stream_its_work_and_its_cards(server: FakeServer) -> None:
    telemetry = MadeUpMachine()
    telemetry.status = {"gpu_count": 1, "all_gpus": [CARD]}
    async with connected(server, telemetry=telemetry, metrics_address="0") as (daemon, stream):
        run = await daemon.started(stream)
        at_work = await read(daemon)
        run.finish()
        await stream.next("outcome")
        stream.receipt_outcome()
        await daemon.no_leases()
        text = await text_of(daemon)
        stream.end()
        again = await server.stream()
        after = await read(daemon)
        again.end()

    assert value(at_work, "dc1_daemon_stream_open") == 1
    assert value(at_work, "dc1_daemon_leases", state="running") == 1
    assert value(at_work, "dc1_daemon_runner_available", runner="ScriptedRunner") == 1
    assert value(at_work, "dc1_gpu_utilization_ratio", gpu="0") == pytest.approx(0.55)
    assert value(at_work, "dc1_gpu_memory_bytes", gpu="0") == 81_559 * 1024 * 1024
    assert value(samples(text), "dc1_daemon_runs_total", outcome="completed") == 1
    assert value(after, "dc1_daemon_streams_total") == 1

    found = [each for each in families(text) if each.name.startswith("dc1_")]
    rows = page("docs/metrics.md").table_rows("The daemon")
    assert [without_labels(row) for row in rows] == [row_of(each) for each in found], rows_of(found)
    assert all(labels_in(row) >= labels_of(family) for row, family in zip(rows, found, strict=True))


async def test_an_address_that_is_taken_ends_the_daemon_with_a_sentence(server: FakeServer) -> None:
    async with connected(server, metrics_address="0") as (first, _):
        assert first.agent.exposition is not None
        taken = str(first.agent.exposition.port)
        async with running_daemon(server, metrics_address=taken) as second:
            with pytest.raises(DaemonError, match=rf"--metrics-address\): Port {taken} on 127.0.0.1 is taken"):
                await second.ended()


async def test_an_address_for_everybody_needs_a_token(server: FakeServer) -> None:
    with pytest.raises(DaemonError, match="others reach this address"):
        async with running_daemon(server, metrics_address="0.0.0.0:0"):
            pass
