"""Estimates: what they say is what the submission that follows holds, and nothing is changed by asking."""

import asyncio
import shutil
from collections.abc import Awaitable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dc1.control.fleet.provider import Provider
from dc1.domain.errors import ApiError
from dc1.domain.jobs.submission import SubmitBody, accept
from dc1.domain.money.machine_prices import GPU_FACTORS_PCT
from dc1.storage.engine.database import Database
from tests.control.small_market import SmallMarket

T = TypeVar("T")

MODELS = [*GPU_FACTORS_PCT, "GT 430", None]
machines = st.tuples(st.sampled_from(MODELS), st.integers(50, 200), st.integers(1, 8))
orders = st.fixed_dictionaries(
    {
        "job_type": st.sampled_from(["llm_inference", "benchmark", "vllm_serve"]),
        "duration_minutes": st.floats(0.1, 1440),
        "container_spec": st.builds(lambda count: {"image_type": "llm", "gpu_count": count}, st.integers(1, 8)),
        "pricing_class": st.sampled_from([None, "priority", "standard", "economy"]),
        "gpu_requirements": st.sampled_from([None, {"gpu_type": "H100"}, {"gpu_type": "a100"}, {"gpu_type": "t4"}]),
        "max_rate_halala_per_minute": st.none() | st.floats(0.01, 500),
        "prefer": st.sampled_from([None, "price"]),
        "named": st.none() | st.integers(0, 3),
    }
)


async def _machine(market: SmallMarket, model: str | None, ask_pct: int, gpus: int) -> Provider:
    provider = await market.provider(gpus=gpus)
    market.heartbeat(provider, {"gpu_status": {"gpu_name": model}} if model else {})
    await market.control.provider_accounts.set_preferences(provider, {"ask_pct": ask_pct})
    return provider


async def _estimate_and_submit(market: SmallMarket, order: dict[str, Any], provider_ids: list[int]) -> None:
    named = order["named"]
    body = SubmitBody(
        params={"prompt": "x", "model": "m"},
        provider_id=None if named is None or named >= len(provider_ids) else provider_ids[named],
        **{name: value for name, value in order.items() if name != "named"},
    )
    accepted, renter = accept(body, frozenset()), await market.renter(2_000_000_000)
    commands = market.control.job_commands
    estimate = await _answer(commands.estimate(accepted))
    submitted = await _answer(commands.submit(renter, accepted))
    if isinstance(estimate, ApiError):
        # Whatever the estimate is refused for, the submission is.
        assert isinstance(submitted, ApiError)
        assert (submitted.status, submitted.message) == (estimate.status, estimate.message)
        return
    assert (estimate.outlook.reason is None) == bool(estimate.outlook.free)
    if isinstance(submitted, ApiError):
        # The month's quota is the only other thing that stands in its way here.
        assert submitted.context["requested_halala"] == estimate.quote.cost_halala
        return
    assert submitted.job.cost_halala == estimate.quote.cost_halala
    expected = estimate.outlook.reason or "its turn: other jobs come first"
    assert submitted.waiting_for in (None, expected)
    if submitted.job.provider_id is not None:
        assert submitted.job.provider_id in estimate.outlook.free


async def _answer(call: Awaitable[T]) -> T | ApiError:
    try:
        return await call
    except ApiError as refusal:
        return refusal


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fleet=st.lists(machines, max_size=4), wanted=st.lists(orders, min_size=1, max_size=6))
def test_an_estimate_is_the_hold_of_the_submission_that_follows(
    sqlite_template: Path, fleet: list[tuple[str | None, int, int]], wanted: list[dict[str, Any]]
) -> None:
    async def work(url: str) -> None:
        market = SmallMarket(Database.open(url))
        try:
            await market.load()
            provider_ids = [(await _machine(market, *each)).id for each in fleet]
            for order in wanted:
                await _estimate_and_submit(market, order, provider_ids)
        finally:
            await market.db.close()

    with TemporaryDirectory() as directory:
        path = Path(directory) / "dc1.sqlite3"
        shutil.copy(sqlite_template, path)
        asyncio.run(work(f"sqlite:///{path}"))


async def test_the_reason_is_what_to_change(market: SmallMarket) -> None:
    market.heartbeat(await market.provider(), {"gpu_status": {"gpu_name": "Tesla T4", "gpu_vram_mib": 15_360}})

    async def reason(**changes: Any) -> str | None:
        body = SubmitBody("llm_inference", 3, params={"prompt": "x"}, **changes)
        return (await market.control.job_commands.estimate(accept(body, frozenset()))).outlook.reason

    assert await reason() is None
    assert await reason(gpu_requirements={"gpu_type": "H100"}) == "no machine has this GPU"
    assert await reason(min_vram_gb=24) == "no machine has so much VRAM"
    assert await reason(container_spec={"image_type": "llm", "gpu_count": 2}) == "no machine has so many GPUs"
    assert await reason(max_rate_halala_per_minute=5) == "1 machine would fit and cost more than the job is held for"
    both = {"gpu_requirements": {"gpu_type": "H100"}, "min_vram_gb": 24}
    assert await reason(**both) == "no machine that is there meets all of its conditions"


async def test_a_job_that_waits_says_for_what_as_the_market_is_now(market: SmallMarket, renter: int) -> None:
    estimates = market.control.dispatcher.estimates
    job = await market.submit(renter)
    assert estimates.waiting_for(job.requirement) == "no machine is there"
    provider = await market.provider(gpus=1)
    assert estimates.waiting_for(job.requirement) == "1 machine would fit and is not there now"
    market.heartbeat(provider, {})
    await market.dispatch()
    later = await market.submit(renter)
    assert estimates.waiting_for(later.requirement) == "1 machine fits and is busy"
    await market.advance(1)
