"""Whose key it is: asked of the database once for all who ask at once."""

import asyncio

from sqlalchemy import Connection

from dc1.control.operations.credentials import Credentials
from dc1.domain.access.keys import KeyRole, new_key
from dc1.storage.accounts import keys
from dc1.storage.providers import providers
from dc1.storage.providers.providers import NewProvider
from tests.control.small_market import SmallMarket

_FLEET = 300


def _reads(market: SmallMarket) -> float:
    (family,) = market.db.metrics.unit_seconds.collect()
    return sum(one.value for one in family.samples if one.name.endswith("_count") and one.labels["kind"] == "read")


async def test_a_fleet_that_comes_back_at_once_has_its_keys_looked_up_together(market: SmallMarket) -> None:
    def seed(conn: Connection) -> list[str]:
        made = []
        for number in range(_FLEET):
            new = NewProvider(f"Najd {number}", f"gpu{number}@example.sa", "L4", "linux")
            made.append(new_key(KeyRole.PROVIDER))
            keys.add(conn, KeyRole.PROVIDER, providers.register(conn, new, 0), made[-1], 0)
        return [key.key for key in made]

    fleet = await market.db.write(seed)
    before = _reads(market)
    credentials = Credentials(market.db, market.clock)
    held = await asyncio.gather(*map(credentials.identify, [*fleet, fleet[0], "dc1-provider-nobody"]))
    assert len({identity.account_id for identity in held if identity is not None}) == _FLEET
    assert held[-1] is None
    assert _reads(market) - before <= 3
