"""Text that replicas tell each other is heard from when they know of each other on, whatever else is said."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import astuple
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc1.domain.access.call_use import CallUse
from dc1.storage.cluster.change_feed import Notifications, SharedTokens, read_payload
from dc1.storage.cluster.news import News
from dc1.storage.engine.database import Database
from dc1.storage.engine.followed import Outbox

EARLY, LATE = SharedTokens(7, 1, "said right after Start", 4, 0), SharedTokens(7, 1, " and later", 2, 22)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.sampled_from(["from", "tokens", "x"]), inner),
    max_leaves=12,
)
ODD = st.one_of(
    st.text(),
    JSON.map(json.dumps),
    st.builds(lambda tokens: json.dumps({"from": "b", "tokens": tokens}), st.lists(JSON)),
    st.builds(
        lambda item: json.dumps({"from": "b", "tokens": [item]}),
        st.tuples(*[st.none() | st.booleans() | st.integers() | st.floats() | st.text()] * 5),
    ),
    st.builds(
        lambda item: json.dumps({"from": "b", "tokens": [], "uses": [item, 1]}),
        st.tuples(st.text(), st.text(), *[st.none() | st.booleans() | st.integers() | st.floats()] * 5),
    ),
    st.builds(
        lambda item: json.dumps({"from": "b", "tokens": [], "events": [item, 1]}),
        st.tuples(
            *[st.none() | st.booleans() | st.integers()] * 4, st.text() | st.none(), st.booleans(), st.integers(0, 1)
        ),
    ),
    st.builds(
        lambda ids, gone, wants, filled: json.dumps(
            {"from": "b", "tokens": [], "news": {"jobs": ids, "gone": gone, "wants": wants, "filled": filled}}
        ),
        st.lists(JSON, max_size=3) | JSON,
        st.lists(st.lists(st.integers(), max_size=3) | JSON, max_size=3) | JSON,
        st.dictionaries(st.sampled_from(["rows", "renters", "accounts", "everybody", "room", "queues"]), JSON),
        st.lists(JSON | st.sampled_from(Outbox)) | JSON,
    ),
    st.sampled_from(["[" * 100_000, "NaN", '{"tokens":[[1e999,1,"",1,1]]}']),
)


@given(ODD)
def test_any_payload_is_read_as_text_or_as_nothing(payload: str) -> None:
    sender, tokens = read_payload(payload)
    assert isinstance(sender, str)
    for item in tokens:
        if isinstance(item, News):
            pairs = [number for pair in item.gone for number in pair]
            assert all(type(number) is int for number in (*item.jobs, *item.lines, *item.watch, *pairs))
            assert all(type(outbox) is Outbox for outbox in item.filled)
            continue
        if isinstance(item, CallUse):
            assert all(type(number) is int and abs(number) < 2**53 for number in astuple(item)[2:])
            continue
        numbers: tuple[int, ...] = (item.row_id, item.attempt, item.offset or 0)
        numbers += (item.count,) if isinstance(item, SharedTokens) else (item.start,)
        assert all(type(number) is int and 0 <= number < 2**53 for number in numbers)
        assert isinstance(item.text, str)


class Ear:
    """What one replica hears."""

    def __init__(self) -> None:
        self.tokens: list[SharedTokens] = []
        self.rounds = 0
        self._news = asyncio.Event()

    def hear(self, tokens: Any) -> None:
        self.tokens += tokens
        self.rounds += 1
        self._news.set()

    async def until(self, count: int) -> list[SharedTokens]:
        async with asyncio.timeout(10):
            while len(self.tokens) < count:
                self._news.clear()
                await self._news.wait()
        return self.tokens


@contextlib.asynccontextmanager
async def listening(notifications: Notifications, ear: Ear) -> AsyncIterator[None]:
    task = asyncio.create_task(notifications.listen(ear.hear))
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await notifications.close()


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_what_is_said_before_the_listener_runs_is_heard(db: Database) -> None:
    """A replica that joins is known to the others at once, and its tasks start when all is loaded."""
    here, there, ear = Notifications(db.url, "a"), Notifications(db.url, "b"), Ear()
    await here.subscribe()
    await there.send([EARLY])
    async with listening(here, ear):
        assert await ear.until(1) == [EARLY]
    await there.close()


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_an_odd_notification_takes_no_other_s_text_with_it(db: Database) -> None:
    here, there, ear = Notifications(db.url, "a"), Notifications(db.url, "b"), Ear()
    await here.subscribe()
    dsn = db.url.set(drivername="postgresql").render_as_string(hide_password=False)
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as anybody, listening(here, ear):
        await there.send([EARLY])
        # All in one go: a listener that began anew after any of them would miss what follows.
        for payload in ("", "no JSON", "[]", '{"tokens":[[1]]}', '{"from":"b","tokens":[[-1,true,null,"x",{}]]}'):
            await anybody.execute("SELECT pg_notify('dc1_changes', %s)", (payload,))
        await there.send([LATE])
        assert await ear.until(2) == [EARLY, LATE]
    await there.close()


@pytest.mark.parametrize("engine_name", ["postgresql"])
async def test_text_outlives_a_connection_that_was_ended_in_silence(db: Database) -> None:
    here, there, ear = Notifications(db.url, "a"), Notifications(db.url, "b"), Ear()
    await here.subscribe()
    async with listening(here, ear):
        await there.send([EARLY])
        await ear.until(1)
        assert there._sender is not None
        pid = there._sender.info.backend_pid
        dsn = db.url.set(drivername="postgresql").render_as_string(hide_password=False)
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as operator:
            await operator.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
        await there.send([LATE])
        assert await ear.until(2) == [EARLY, LATE]
    await there.close()
