"""What admins do to many renters: one transaction, shared with whoever hooks into it."""

import pytest

from dc1.control.operations.renter_supervision import BulkUpdate, RenterAction
from dc1.domain.access.roles import Role
from dc1.storage.accounts import renters
from dc1.storage.engine.database import Connection
from dc1.storage.engine.transaction_hook import NO_HOOK
from tests.control.small_market import SmallMarket


class Recorder:
    """Notes what it is told, and breaks off the transaction at its end if it is to."""

    def __init__(self, *, fails: bool = False) -> None:
        self.told: list[object] = []
        self._fails = fails

    def begin(self, conn: Connection) -> None:
        self.told.append("begin")

    def keep(self, conn: Connection, result: int) -> None:
        self.told.append(result)
        if self._fails:
            raise OSError("the disk is full")


async def status(market: SmallMarket, renter_id: int) -> str:
    row = await market.see(renters.get, renter_id)
    assert row is not None
    return row.status


async def test_one_who_is_refused_keeps_nobody_else_from_it(market: SmallMarket, renter: int) -> None:
    other, gone = await market.renter(), await market.renter()
    await market.control.renter_accounts.close(gone)
    hook = Recorder()
    update = BulkUpdate(frozenset({renter, other, gone, 999_999}), RenterAction.SUSPEND, 0, "")
    assert await market.control.renter_supervision.update_all(update, hook) == 2
    assert hook.told == ["begin", 2]
    assert [await status(market, each) for each in (renter, other, gone)] == ["suspended", "suspended", "deleted"]


async def test_nothing_is_done_to_anybody_when_the_hook_cannot_keep_the_answer(
    market: SmallMarket, renter: int
) -> None:
    update = BulkUpdate(frozenset({renter}), RenterAction.CREDIT, 500, "sorry")
    before = await market.see(renters.get, renter)
    with pytest.raises(OSError, match="the disk is full"):
        await market.control.renter_supervision.update_all(update, Recorder(fails=True))
    assert await market.see(renters.get, renter) == before


async def test_a_suspension_reaches_keys_that_were_remembered(market: SmallMarket) -> None:
    opened = await market.control.renter_accounts.register(renters.NewRenter("Noura", "noura@example.sa"))
    identity = await market.control.credentials.identify(opened.api_key)
    assert identity is not None
    assert (identity.role, identity.suspended) == (Role.RENTER, False)
    update = BulkUpdate(frozenset({opened.renter_id}), RenterAction.SUSPEND, 0, "")
    await market.control.renter_supervision.update_all(update, NO_HOOK)
    identity = await market.control.credentials.identify(opened.api_key)
    assert identity is not None
    assert identity.suspended
