"""Whoever ends a run that another server relays asks how much it has said, and waits for no server for long."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dc1.control.cluster import asking as asking_module
from dc1.control.cluster.asking import Asking
from dc1.control.config import ControlConfig
from dc1.control.scheduling.core import Core
from dc1.domain.base.clock import SystemClock
from dc1.domain.errors import ApiError
from dc1.domain.inference.usage import NOTHING_RELAYED, RelayedText, RunSaid
from dc1.domain.jobs.states import JobSource
from dc1.storage.cluster.change_feed import read_payload
from dc1.storage.cluster.news import News, ToldSpeed

ROW = 7
SAID = RunSaid(ROW, 2, size_bytes=30, tokens=9, characters=28, events=3)


class Server:
    """One server's questions; what it sends is heard by the others as notifications carry it."""

    def __init__(self, name: str, others: "dict[str, Server]", said: RunSaid | None = None) -> None:
        self._others = others
        core = Core.empty(cast(Any, None), SystemClock(), ControlConfig())
        self.name = name
        self.asking = Asking(core, name, lambda: frozenset(others) - {name}, self.send)
        self.stored: list[int] = []
        self.is_stalled = False
        self.asking.store = self.store
        lease = None if said is None else SimpleNamespace(said=said)
        self.asking._leases = cast(Any, SimpleNamespace(of_job=lambda row_id: lease))
        others[name] = self

    async def store(self, *row_ids: int) -> None:
        self.stored += row_ids

    def send(self) -> None:
        asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        for name, news in self.asking.take():
            self._others[name].hear(news)

    def hear(self, news: News) -> None:
        told = News.read(news.replica, news.to_tell())
        assert told == news
        if not self.is_stalled:
            self.asking.heard(told)

    async def serve(self) -> None:
        while True:
            await self.asking.was_asked.wait()
            self.asking.was_asked.clear()
            await self.asking.answer()


async def asked(asker: Server, *answering: Server) -> dict[int, RunSaid]:
    tasks = [asyncio.create_task(each.serve()) for each in answering]
    found, _ = await asker.asking._ask_all([ROW], [each.name for each in answering])
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return found


async def test_who_relays_it_says_how_much_once_its_start_is_stored() -> None:
    others: dict[str, Server] = {}
    a, b, c = Server("a", others), Server("b", others, SAID), Server("c", others)
    assert await asked(a, b, c) == {ROW: SAID}
    assert (b.stored, c.stored) == ([ROW], [])


async def test_who_is_stalled_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking_module, "_ANSWER_SECONDS", 0.05)
    others: dict[str, Server] = {}
    a, b = Server("a", others), Server("b", others, SAID)
    b.is_stalled = True
    assert await asked(a, b) == {}


class _Held:
    """A database in which a run is held by a machine that nobody knows."""

    def __init__(self, source: JobSource) -> None:
        self._found = {ROW: (5, source)}

    async def read(self, work: object) -> dict[int, tuple[int, JobSource]]:
        return self._found


@pytest.mark.parametrize("source", [JobSource.API, JobSource.V1])
@pytest.mark.parametrize("fate", ["lives", "dies"])
async def test_a_call_is_not_ended_for_nothing_while_its_server_lives(
    monkeypatch: pytest.MonkeyPatch, source: JobSource, fate: str
) -> None:
    monkeypatch.setattr(asking_module, "_ANSWER_SECONDS", 0.05)
    others: dict[str, Server] = {}
    a, b = Server("a", others), Server("b", others, SAID)
    a.asking._db = cast(Any, _Held(source))
    monkeypatch.setattr(b, "hear", lambda news: others.pop("b") if fate == "dies" else None)
    ending = a.asking.said([ROW], of_all_calls=True)
    if (source, fate) == (JobSource.V1, "lives"):
        with pytest.raises(ApiError, match="Service unavailable"):
            await ending
        assert await a.asking.said([ROW], of_all_calls=False) == {}
    else:
        assert await ending == {}


async def test_all_that_is_asked_at_once_waits_for_one_transaction() -> None:
    others: dict[str, Server] = {}
    a, b = Server("a", others), Server("b", others, SAID)
    asking = [asyncio.create_task(a.asking._ask_all([ROW], ["b"])) for _ in range(300)]
    await asyncio.sleep(0)
    a._send()
    await b.asking.answer()
    assert [said for said, _ in await asyncio.gather(*asking)] == [{ROW: SAID}] * 300
    assert b.stored == [ROW]


async def test_that_nobody_knows_it_is_an_answer_too() -> None:
    others: dict[str, Server] = {}
    assert await asked(Server("a", others), Server("b", others), Server("c", others)) == {}


def test_what_another_attempt_said_is_paid_by_nobody() -> None:
    assert SAID.relayed_of(2) == RelayedText(30, 9)
    assert SAID.relayed_of(1) == NOTHING_RELAYED


@pytest.mark.parametrize("answer", ["[]", "[1, [1, 2]]", '["x"]', "[1, 2]", "7", "[1, [7, 2, 30, 9, 28, 3, -1]]"])
def test_an_answer_that_makes_no_sense_is_none(answer: str) -> None:
    _, (news,) = read_payload(f'{{"from": "b", "tokens": [], "news": {{"look": false, "answer": {answer}}}}}')
    assert news == News("b")


@pytest.mark.parametrize("speed", ["[1]", "[1, 2, 3, 4, 5]", '[1, "m", NaN, 1, 3]', '[-1, "m", 1, 1, 3]', "7"])
def test_a_speed_that_makes_no_sense_is_passed_over(speed: str) -> None:
    known = ToldSpeed(5, "m", 80.5, None, 4)
    told = f'[{speed}, [5, "m", 80.5, null, 4]]'
    _, (news,) = read_payload(f'{{"from": "b", "tokens": [], "news": {{"look": false, "speeds": {told}}}}}')
    assert news == News("b", speeds=(known,))
