"""How a call ends whose answer cannot be told."""

from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

from dc1.domain import errors
from dc1.services.inference.held_calls import HeldCalls


async def test_a_call_that_cannot_be_told_is_ended_between_two_attempts_too() -> None:
    """What came may count as no word of an answer, and its run be lost: the next one was for nobody, and paid."""
    plane: Any = AsyncMock()
    plane.completions = SimpleNamespace(answered=lambda _row_id: None, abandon=AsyncMock())
    plane.attempts.finish.side_effect = errors.job_not_running("queued")
    held: Any = SimpleNamespace(_plane=plane)
    job: Any = SimpleNamespace(id=7, job_id="job-7")
    await HeldCalls._refuse(held, job)
    plane.completions.abandon.assert_awaited_once_with(7)
