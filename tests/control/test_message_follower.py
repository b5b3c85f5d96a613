"""What a daemon says while the database takes its time waits in the daemon and not in the server."""

import asyncio
from threading import Event

import pytest

from dc1.services.daemons.approved_images import ToldImages
from dc1.services.daemons.daemon_messages import DaemonMessages
from dc1.services.daemons.message_budget import MessageBudget
from dc1.services.daemons.message_follower import MessageFollower
from dc1.services.daemons.outbox import Outbox
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import job_logs
from dcp.v1 import daemon_stream_pb2 as pb
from tests.control.small_market import SmallMarket

LINES = 200


async def test_no_more_of_one_job_is_taken_than_of_many(market: SmallMarket, renter: int) -> None:
    daemon = await market.daemon()
    job = await market.submit(renter)
    lease = await daemon.accept()
    plane, outbox = market.control, Outbox()
    messages = DaemonMessages(plane, daemon.provider, outbox, ToldImages(plane.catalog, outbox), MessageBudget())
    follower = MessageFollower(messages, daemon.provider_id, outbox.close)
    taken = 0

    async def speak() -> None:
        nonlocal taken
        of = pb.LeaseRef(job_id=job.job_id, attempt_number=lease.attempt)
        for sequence in range(1, LINES + 1):
            batch = pb.LogBatch(lease=of, sequence=sequence, lines=[pb.LogRecord(message="line")])
            await follower.take(pb.ConnectRequest(logs=batch))
            taken += 1

    held, go_on = Event(), Event()

    def hold(_: Connection) -> None:
        held.set()
        go_on.wait()

    holding = asyncio.ensure_future(market.db.write(hold))
    await asyncio.to_thread(held.wait)
    speaking = asyncio.ensure_future(speak())
    try:
        for _ in range(2 * LINES):
            await asyncio.sleep(0)
        assert taken == 64
    finally:
        go_on.set()
    await asyncio.gather(holding, speaking)
    await follower.take(pb.ConnectRequest(beat=pb.Beat(state=pb.DaemonState())))
    assert (await market.see(_lines, job.id)) == LINES


def _lines(conn: Connection, row_id: int) -> int:
    return job_logs.totals_of(conn, [row_id])[row_id]


async def test_what_comes_of_a_job_is_followed_in_one_task(
    market: SmallMarket, renter: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each in its own, that waits for the one before, a call would have as many tasks as tokens once it had two."""
    daemon = await market.daemon()
    job = await market.submit(renter)
    lease = await daemon.accept()
    plane, outbox = market.control, Outbox()
    messages = DaemonMessages(plane, daemon.provider, outbox, ToldImages(plane.catalog, outbox), MessageBudget())
    follower = MessageFollower(messages, daemon.provider_id, outbox.close)
    of = pb.LeaseRef(job_id=job.job_id, attempt_number=lease.attempt)
    words = [pb.TokenBatch(lease=of, text=f"{number} ", count=1) for number in range(50)]
    followed: list[str] = []
    tasks: set[object] = set()
    take = messages.take

    async def noted(message: pb.ConnectRequest) -> None:
        tasks.add(asyncio.current_task())
        await take(message)
        followed.append(message.tokens.text)

    monkeypatch.setattr(messages, "take", noted)
    await follower.take(pb.ConnectRequest(progress=pb.Progress(lease=of, phase="generating")))
    for word in words:
        await follower.take(pb.ConnectRequest(tokens=word))
    await follower.take(pb.ConnectRequest(beat=pb.Beat(state=pb.DaemonState())))
    assert [text for text in followed if text] == [word.text for word in words]
    assert len(tasks - {asyncio.current_task()}) <= 2, "one for the job, and one for the beat"
