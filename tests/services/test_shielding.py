"""Work goes on when whoever waited for it has left."""

import asyncio

import pytest
from structlog.testing import capture_logs

from dc1.services.api.shielding import ShieldedWork


async def test_a_failure_that_nobody_waits_for_is_a_line_and_no_mistake_of_ours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shielded, begun, may_fail = ShieldedWork(), asyncio.Event(), asyncio.Event()

    async def fail() -> None:
        begun.set()
        await may_fail.wait()
        raise OSError("the database went away")

    with capture_logs() as lines:
        caller = asyncio.create_task(shielded.run(fail()))
        await begun.wait()
        caller.cancel()
        await asyncio.wait([caller])
        may_fail.set()
        for _ in range(5):
            await asyncio.sleep(0)
    assert [line["event"] for line in lines] == ["failed_for_nobody"]
    assert (lines[0]["error"], lines[0]["log_level"]) == ("OSError", "warning")
    assert caller.cancelled()
    assert not caplog.records
