"""Of an answer that is longer than any is, what was told is not kept; its end is that of the result."""

import asyncio
import json

from dc1.control.scheduling.job_feed import TokenChunk
from dc1.domain.base.json_types import JsonObject
from dc1.domain.inference.events import AnswerEvent
from dc1.domain.inference.kinds import read_call
from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.services.inference.completion_stream import CompletionStream
from tests.control.small_market import SmallMarket

MODEL = "acme/Chat-7B"
SAID = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "stream": True}).encode()
PIECE = "x" * 300_000
PIECES = 6


async def test_what_is_told_is_kept_to_a_bound(market: SmallMarket, renter: int) -> None:
    daemon = await market.daemon(cached_models=[MODEL])
    daemon.beat(cached_models=[MODEL])
    asked = read_call("/v1/chat/completions", SAID, 1_000_000)
    job = await market.control.completions.start(renter, asked, await market.control.completions.reserve(renter, asked))
    answer = CompletionStream(market.control, job, asked)
    told: list[str] = []

    async def listen() -> None:
        async for batch in answer.batches():
            told.extend(piece if isinstance(piece, str) else piece.content() for piece in batch)

    listening = asyncio.ensure_future(listen())
    await asyncio.sleep(0)
    lease = await daemon.accept()
    for at in range(PIECES):
        event = AnswerEvent.read(json.dumps({"choices": [{"index": 0, "delta": {"content": PIECE}}]}).encode())
        assert event is not None
        chunk = TokenChunk(lease.attempt, "", 0, events=(event,), event_offset=at)
        assert market.control.attempts.tokens(lease.provider_id, lease.job_id, chunk)
        await asyncio.sleep(0)
    assert sum(map(len, told)) == 2 * len(PIECE), "what comes after the bound waits for the result"
    result: JsonObject = {"type": "text", "response": PIECE * PIECES}
    await daemon.finish(lease, AttemptReport(completed=True, result=result))
    await listening
    assert "".join(told) == PIECE * PIECES
