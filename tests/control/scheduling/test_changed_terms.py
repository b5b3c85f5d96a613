"""A machine is given nothing at a price that it has no more, which another server may have heard of before."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, update

from dc1.control.fleet.loading import provider_from_row
from dc1.domain.providers.measurements import Device, Measurement
from dc1.storage.admin import catalog
from dc1.storage.providers import hardware_doubts, providers
from dc1.storage.providers.hardware_doubts import HardwareDoubt
from dc1.storage.schema.tables import providers as provider_table
from tests.control.small_market import NOW, Daemon, SmallMarket

Change = Callable[[Connection, int], object]


def asks(ask_pct: int) -> Change:
    return lambda conn, provider_id: providers.set_preferences(conn, provider_id, ask_pct=ask_pct)


def factor(conn: Connection, _: int) -> None:
    catalog.set_gpu_factor(conn, "RTX 4090", 50, NOW + 1)


def found_out(conn: Connection, provider_id: int) -> None:
    hardware_doubts.record(conn, HardwareDoubt(provider_id, NOW, "No RTX 4090 does so"))


def probed(conn: Connection, provider_id: int) -> None:
    values = {"tops_int8": 10, "memory_gbps": 120, "probed_device": "gpu", "probed_at_ms": NOW + 1}
    conn.execute(update(provider_table).where(provider_table.c.id == provider_id).values(**values))


CHANGES = [(asks(50), 5_000), (asks(150), None)]
GPU: dict[str, Any] = {"gpu_status": {"gpu_name": "NVIDIA GeForce RTX 4090", "gpu_vram_mib": 24564}}


@pytest.fixture
async def daemon(market: SmallMarket) -> Daemon:
    """An RTX 4090 whose report and probe are stored."""
    daemon = await market.daemon(**GPU)
    market.control.fleet.set_measurement(daemon.provider, Measurement(200, 500, Device.GPU, NOW), "measured")
    await market.control.report_flusher.flush()
    return daemon


async def follow(market: SmallMarket, daemon: Daemon) -> None:
    """Hear of what was stored, as beside other servers, and give out what waits."""
    row = await market.see(providers.get, daemon.provider_id)
    assert row is not None
    market.control.fleet.follow(provider_from_row(row), here=True, decisions=market.control.fleet.decisions)
    await market.control.catalog.load()
    daemon.beat()
    await market.control.dispatcher.dispatch()


@pytest.mark.parametrize(("change", "new_price"), CHANGES)
async def test_a_submission_waits_for_the_price_as_it_is(
    market: SmallMarket, renter: int, daemon: Daemon, change: Change, new_price: int | None
) -> None:
    """Contract 5.2: `run_rate` is that of the machine as it was when the job was given to it."""
    await market.do(change, daemon.provider_id)
    job = await market.submit(renter)
    assert (job.status, job.run_price_bps) == ("queued", None)
    await follow(market, daemon)
    given = await market.job(job.id)
    # Dearer than what is held for it, it waits for another machine.
    assert given.run_price_bps == new_price
    assert given.status == ("queued" if new_price is None else "pending")


async def test_a_submission_is_quoted_anew_where_the_news_is_at_hand(
    market: SmallMarket, renter: int, daemon: Daemon
) -> None:
    await market.do(factor, daemon.provider_id)
    job = await market.submit(renter)
    assert (job.status, job.run_price_bps, job.hold_price_bps, job.cost_halala) == ("pending", 5_000, 5_000, 23)


@pytest.mark.parametrize("change", [asks(50), factor, found_out, probed])
async def test_what_waits_is_not_given_to_a_machine_that_has_changed(
    market: SmallMarket, renter: int, daemon: Daemon, change: Change
) -> None:
    busy, waiting = await market.submit(renter), await market.submit(renter)
    assert (busy.status, waiting.status) == ("pending", "queued")
    lease = await daemon.accept()
    await market.do(change, daemon.provider_id)
    await daemon.finish(lease)
    await market.control.dispatcher.dispatch()
    assert (await market.job(waiting.id)).status == "queued"
    # A rate that was agreed on stays.
    assert (await market.job(busy.id)).run_price_bps == 10_000


async def test_what_was_found_here_and_is_not_stored_yet_holds(
    market: SmallMarket, renter: int, daemon: Daemon
) -> None:
    market.control.fleet.set_measurement(daemon.provider, None, "failed: an opened row is wrong", caught=True)
    job = await market.submit(renter)
    assert (job.status, job.run_price_bps) == ("pending", 10_000)
