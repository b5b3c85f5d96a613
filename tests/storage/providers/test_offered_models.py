from dc1.storage.engine.database import Database
from dc1.storage.providers import offered_models
from tests.storage.market import Market


async def test_a_model_keeps_when_it_was_first_offered(db: Database) -> None:
    market = Market(db)
    await market.do(offered_models.record, {"org/a": 1000, "org/b": 1000})
    await market.do(offered_models.record, {"org/b": 2000, "org/c": 2000})
    assert await market.see(offered_models.load) == {"org/a": 1000, "org/b": 1000, "org/c": 2000}
    assert await market.see(offered_models.is_known, "org/c")
    assert not await market.see(offered_models.is_known, "org/d")
