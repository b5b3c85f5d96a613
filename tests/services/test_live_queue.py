"""What was charged is the one thing of the queue that is read; the rest goes on without the database."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dc1.domain.base.json_types import JsonObject
from dc1.services.admin import live_queue
from dc1.services.admin.live_queue import Charges
from dc1.storage.engine.unwritable import UnwritableError, UnwritableReason

FIGURES = SimpleNamespace(charged_halala=7)


async def test_what_was_charged_is_told_as_it_was_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream ended, and an operator saw nothing of the queue just then."""
    failure: Exception | None = UnwritableError(UnwritableReason.UNREACHABLE)

    async def read(work: Any) -> Any:
        await asyncio.sleep(0)
        if failure is not None:
            raise failure
        return FIGURES, FIGURES

    plane = SimpleNamespace(clock=SimpleNamespace(now_ms=lambda: 0), db=SimpleNamespace(read=read))
    charges = Charges(cast("Any", plane))
    monkeypatch.setattr(live_queue, "_CHARGES_SECONDS", 0)
    with pytest.raises(UnwritableError):
        await charges.now()
    failure = None
    told: JsonObject = {"charged_today_halala": 7, "charged_total_halala": 7}
    assert await charges.now() == told
    failure = UnwritableError(UnwritableReason.UNREACHABLE)
    assert await charges.now() == told
    failure = ValueError("a mistake of ours")
    with pytest.raises(ValueError, match="of ours"):
        await charges.now()
