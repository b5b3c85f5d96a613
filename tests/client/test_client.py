"""The client against a real market behind real Envoy, with and without an event loop."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from dc1.client import AsyncClient, Client, GoneError, StreamedEvent, WaitTimeoutError
from dc1.testing.market import LocalMarket
from dc1.testing.poll_daemon import MODEL
from dc1.testing.server import ADMIN_TOKEN
from tests.contract.inference.chat import serve


def test_a_job_from_its_submission_to_its_bill(market: LocalMarket) -> None:
    renter, daemon = market.add_renter(), market.connect(market.add_provider())
    with ThreadPoolExecutor(1) as pool, Client(market.edge.url, renter.key) as client:
        job = client.jobs.submit("Why is the sea blue?", minutes=3)
        with pytest.raises(WaitTimeoutError):
            job.wait(timeout_seconds=0)
        served = pool.submit(serve, daemon, "It scatters ", "blue light.")
        events = list(job.stream())
        detail = job.wait(timeout_seconds=60)
        served.result()

        assert (events[-1].kind, detail["status"], job.has_ended) == ("end", "completed", True)
        assert "It scatters blue light.".endswith("".join(event.text for event in events if event.kind == "token"))
        assert job.output()["response"] == "It scatters blue light."
        assert job.invoice()["job_id"] == job.id == client.jobs.get(job.id).id


def test_a_chat_whole_and_as_it_comes(market: LocalMarket) -> None:
    renter, daemon = market.add_renter(), market.connect(market.add_provider())
    with ThreadPoolExecutor(1) as pool, Client(market.edge.url, renter.key) as client:
        served = pool.submit(serve, daemon, "It scatters ", "blue light.")
        reply = client.chat(MODEL, "Why is the sea blue?", max_tokens=64)
        served.result()
        served = pool.submit(serve, daemon, "It scatters ", "blue light.")
        stream = client.chat(MODEL, [{"role": "user", "content": "Why is the sea blue?"}], stream=True, max_tokens=64)
        text = "".join(stream)
        served.result()

    assert reply.text == text == "It scatters blue light."
    assert stream.progress.usage["total_tokens"] == reply.usage["total_tokens"] > 0
    assert stream.progress.job_id != reply.job_id


def test_a_list_is_read_on_as_far_as_somebody_looks(market: LocalMarket) -> None:
    renter = market.add_renter()
    with Client(market.edge.url, renter.key) as client, Client(market.edge.url, ADMIN_TOKEN) as admin:
        submitted = [client.jobs.submit("Hi").id for _ in range(5)]

        assert [row["job_id"] for row in client.jobs.list(page_size=2)] == submitted[::-1]
        assert next(iter(client.jobs.list(page_size=2)))["job_id"] == submitted[-1]
        assert [row["name"] for row in admin.admin.renters()] == [client.renter.me()["renter"]["name"]]
        assert len(list(client.renter.transactions())) == 1 + len(submitted)
        client.jobs.get(submitted[0]).cancel()
        with pytest.raises(GoneError):
            client.jobs.get(submitted[0]).output()


def test_one_submission_however_often_it_is_sent(market: LocalMarket) -> None:
    with Client(market.edge.url, market.add_renter().key) as client:
        first = client.jobs.submit("Hi", idempotency_key="k1")

        assert client.jobs.submit("Hi", idempotency_key="k1").id == first.id
        assert len(list(client.jobs.list())) == 1


async def test_the_same_with_an_event_loop(market: LocalMarket) -> None:
    renter, daemon = market.add_renter(), market.connect(market.add_provider())
    async with AsyncClient(market.edge.url, renter.key) as client:
        answer, _ = await asyncio.gather(
            client.chat(MODEL, "Why is the sea blue?", max_tokens=64),
            asyncio.to_thread(serve, daemon, "It scatters ", "blue light."),
        )
        job = await client.jobs.submit("Why?", minutes=3)
        said, _ = await asyncio.gather(
            _texts(job.stream()), asyncio.to_thread(serve, daemon, "It scatters ", "blue light.")
        )
        detail = await job.wait(timeout_seconds=60)

        assert answer.text == "It scatters blue light."
        assert answer.text.endswith(said)
        assert detail["status"] == "completed"
        assert [row["job_id"] async for row in client.jobs.list()] == [job.id, answer.job_id]


async def _texts(events: AsyncIterator[StreamedEvent]) -> str:
    return "".join([event.text async for event in events if event.kind == "token"])
