from dataclasses import replace

from dc1.domain.providers.challenges import new_challenge
from dc1.storage.engine.database import Database
from dc1.storage.providers import challenges
from tests.storage.market import NOW, Market

LATER = NOW + 3_600_000


async def test_a_challenge_is_given_seen_and_taken_once(db: Database) -> None:
    market = Market(db)
    provider, other = await market.provider(), await market.provider()
    first = new_challenge(NOW)
    await market.do(challenges.give, provider, first, NOW)
    await market.do(challenges.give, provider, new_challenge(NOW), NOW + 1)
    assert await market.see(challenges.pending, provider, NOW)
    assert not await market.see(challenges.pending, other, NOW)
    assert await market.do(challenges.take, provider, first.challenge_id) is None, "it was not seen yet"

    seen = await market.do(challenges.fetch, provider, NOW + 5)
    assert seen == replace(first, fetched_at_ms=NOW + 5)
    assert await market.do(challenges.fetch, provider, NOW + 9) == seen
    assert await market.do(challenges.fetch, other, NOW) is None

    assert await market.do(challenges.take, other, first.challenge_id) is None
    assert await market.do(challenges.take, provider, "chal-other") is None
    assert await market.do(challenges.take, provider, first.challenge_id) == seen
    assert await market.do(challenges.take, provider, first.challenge_id) is None


async def test_an_expired_challenge_makes_room_for_the_next(db: Database) -> None:
    market = Market(db)
    provider = await market.provider()
    expired, fresh = new_challenge(NOW), new_challenge(LATER)
    await market.do(challenges.give, provider, expired, NOW)
    assert not await market.see(challenges.pending, provider, LATER)
    assert await market.do(challenges.fetch, provider, LATER) is None
    await market.do(challenges.give, provider, fresh, LATER)
    seen = await market.do(challenges.fetch, provider, LATER)
    assert seen is not None
    assert seen.challenge_id == fresh.challenge_id
