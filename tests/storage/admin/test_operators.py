"""Tokens are made and stopped by the right of a token that is good then, whatever the server that let it in knew."""

import asyncio

import pytest

from dc1.control.access.key_watch import KeyWatch
from dc1.control.access.operators import Operators
from dc1.domain.access.operators import Operator, OperatorRole
from dc1.domain.base.clock import DAY_MS
from dc1.domain.errors import ApiError
from dc1.storage.admin.operators import NewOperator
from dc1.storage.engine.database import Database
from dc1.testing.clock import ManualClock

NOW_MS = 1_700_000_000_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_MS)


@pytest.fixture
def operators(db: Database, clock: ManualClock) -> Operators:
    return Operators(db, clock, KeyWatch())


def new(name: str) -> NewOperator:
    return NewOperator(name, OperatorRole.ADMIN, None, "a test", NOW_MS + DAY_MS)


async def made(operators: Operators, name: str) -> Operator:
    _, token = await operators.add(new(name), None)
    found = operators.identify(token)
    assert found is not None
    return found


@pytest.mark.parametrize("end", ["revoked", "replaced", "expired"])
async def test_a_token_that_has_ended_makes_and_stops_none(operators: Operators, clock: ManualClock, end: str) -> None:
    thief, other = await made(operators, "thief"), await made(operators, "other")
    if end == "revoked":
        await operators.revoke(thief.id, None)
    elif end == "replaced":
        await operators.rotate(thief.id, None, None)
    else:
        clock.advance(DAY_MS / 1000)
    before = await operators.page(limit=50, offset=0)
    for act in (
        operators.add(new("another"), thief),
        operators.rotate(thief.id, NOW_MS + 9 * DAY_MS, thief),
        operators.rotate(other.id, NOW_MS + 9 * DAY_MS, thief),
        operators.revoke(other.id, thief),
    ):
        with pytest.raises(ApiError, match="Admin access denied"):
            await act
    assert await operators.page(limit=50, offset=0) == before


async def test_of_two_who_replace_each_others_tokens_at_once_one_does(operators: Operators) -> None:
    for number in range(5):
        first, second = await made(operators, f"a-{number}"), await made(operators, f"b-{number}")
        outcomes = await asyncio.gather(
            operators.rotate(second.id, None, first), operators.rotate(first.id, None, second), return_exceptions=True
        )
        refusals = [each for each in outcomes if isinstance(each, BaseException)]
        assert [str(each) for each in refusals] == ["Admin access denied"]
