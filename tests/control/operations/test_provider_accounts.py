"""What owners and admins do with a provider's account: memory follows what was stored, and only that."""

import asyncio

import pytest

from dc1.control.operations.provider_accounts import RotatedKey
from dc1.control.scheduling.sessions import EndReason
from dc1.domain.access.keys import parse
from dc1.domain.errors import ApiError
from dc1.storage.accounts import wallets
from dc1.storage.engine.transaction_hook import NO_HOOK
from dc1.storage.providers import providers
from dc1.storage.providers.providers import NewProvider
from tests.control.small_market import SmallMarket

IBAN = "SA0380000000608010167519"


def _key_id(key: str) -> str:
    parsed = parse(key)
    assert parsed is not None
    return parsed.key_id


async def test_a_new_account_is_known_with_its_key_at_once(market: SmallMarket) -> None:
    opened = await market.control.provider_accounts.register(NewProvider("Najd", "najd@example.sa", "L4", "linux"))
    assert market.control.fleet.known(opened.account.id).name == "Najd"
    identity = await market.control.credentials.identify(opened.api_key)
    assert identity is not None
    assert identity.account_id == opened.account.id
    assert opened.api_key not in repr(opened)


async def test_a_refused_end_leaves_the_account_as_it_was(market: SmallMarket, renter: int) -> None:
    daemon = await market.daemon()
    # What is earned of a renter who has paid nothing cannot be asked for.
    await market.do(wallets.top_up, renter, 100, "paid", market.clock.now_ms())
    await market.submit(renter)
    await market.dispatch()
    lease = await daemon.accept()
    market.clock.advance(60)
    earned = (await daemon.finish(lease)).job.provider_earned_halala
    assert earned
    await market.control.payouts.request(daemon.provider_id, earned, IBAN, NO_HOOK)
    with pytest.raises(ApiError, match="A withdrawal is already pending"):
        await market.control.provider_accounts.close(daemon.provider)
    assert market.control.fleet.known(daemon.provider_id) is daemon.provider
    assert daemon.ended is None


async def test_the_end_of_an_account_gives_its_jobs_to_others(market: SmallMarket, renter: int) -> None:
    leaving, staying = await market.daemon(), await market.daemon()
    job = await market.submit(renter)
    await market.dispatch()
    holder, other = (leaving, staying) if leaving.offers else (staying, leaving)
    await holder.accept()
    closed = await market.control.provider_accounts.close(holder.provider)
    await market.dispatch()
    assert (closed.requeued_jobs, holder.ended) == (1, EndReason.ACCESS_REVOKED)
    assert other.offered == [job.id]


async def test_a_reset_key_stops_at_once_and_a_rotated_one_after_its_grace(market: SmallMarket) -> None:
    accounts, identify = market.control.provider_accounts, market.control.credentials.identify
    opened = await accounts.register(NewProvider("Najd", "najd@example.sa", "L4", "linux"))
    assert await identify(opened.api_key) is not None
    rotated = await accounts.rotate_key(opened.account.id, _key_id(opened.api_key))
    assert await identify(opened.api_key) is not None
    market.clock.advance((rotated.old_until_ms - market.clock.now_ms()) / 1000)
    assert await identify(opened.api_key) is None
    assert await identify(rotated.api_key) is not None
    provider = market.control.fleet.known(opened.account.id)
    reset = await market.control.provider_supervision.reset_key(provider)
    assert await identify(rotated.api_key) is None
    assert await identify(reset) is not None


async def test_of_two_rotations_with_one_key_only_the_first_is_done(market: SmallMarket) -> None:
    accounts, identify = market.control.provider_accounts, market.control.credentials.identify
    opened = await accounts.register(NewProvider("Najd", "najd@example.sa", "L4", "linux"))
    calls = (accounts.rotate_key(opened.account.id, _key_id(opened.api_key)) for _ in range(2))
    first, second = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(first, RotatedKey)
    assert isinstance(second, ApiError)
    assert second.status == 401
    market.clock.advance(601)
    assert await identify(first.api_key) is not None


async def test_preferences_change_one_by_one_in_memory_and_in_the_database(market: SmallMarket) -> None:
    provider = await market.provider()
    await market.control.provider_accounts.set_preferences(provider, {"temp_limit_c": 80.0})
    await market.control.provider_accounts.set_preferences(provider, {"run_mode": "manual"})
    row = await market.see(providers.get, provider.id)
    assert row is not None
    assert (provider.preferences.temp_limit_c, provider.preferences.run_mode) == (80.0, "manual")
    assert (row.temp_limit_c, row.run_mode) == (80.0, "manual")
