from dc1.storage import offers
from dc1.storage.database import Database
from tests.storage.market import Market


async def test_a_model_keeps_when_it_was_first_offered(db: Database) -> None:
    market = Market(db)
    await market.do(offers.record, {"org/a": 1000, "org/b": 1000})
    await market.do(offers.record, {"org/b": 2000, "org/c": 2000})
    assert await market.see(offers.load) == {"org/a": 1000, "org/b": 1000, "org/c": 2000}
    assert await market.see(offers.is_known, "org/c")
    assert not await market.see(offers.is_known, "org/d")
