"""Whatever a receiver of webhooks answers is the outcome of that one delivery, and of no other."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from dc1.control.delivery.webhook_targets import Targets
from tests.server.test_webhook_sender import Outbox, market
from tests.storage.market import Market
from tests.support.receiver import CERTIFICATE

__all__ = ["market"]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
ODD = [
    b"",
    b"\x00" * 64,
    b"\x16\x03\x01\x02\x00\x01\x00",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 999999 \xff\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 200,
    b"HTTP/9.9 200 OK\r\n\r\n",
    b"HTTP/1.1 101 Switching\r\nupgrade: h2c\r\n\r\n",
    b"HTTP/1.1 301 Moved\r\nlocation: http://169.254.169.254/\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nx: " + b"y" * 300_000 + b"\r\n\r\n",
    b"HTTP/1.1 500 \xe2\x80\xae\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    b"HTTP/1.1 204 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc",
]


@pytest.fixture
async def serve(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[[list[bytes]], "asyncio.Future[str]"]]:
    """Serves each of some answers once, to one connection after the other, then 200; as raw bytes under TLS."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, Path(CERTIFICATE).with_suffix(".key"))
    servers: list[asyncio.Server] = []

    async def listen(answers: list[bytes]) -> str:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(65536)
            writer.write(answers.pop(0) if answers else OK)
            writer.close()

        servers.append(await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context))
        return f"https://localhost:{servers[-1].sockets[0].getsockname()[1]}/hook"

    yield lambda answers: asyncio.ensure_future(listen(answers))
    for server in servers:
        server.close()


async def test_odd_answers_are_recorded_and_end_no_other_delivery(
    market: Market, serve: Callable[[list[bytes]], "asyncio.Future[str]"]
) -> None:
    outbox = Outbox(market, Targets(allow_private=True, resolver=lambda host: ["127.0.0.1"]))
    odd = [await outbox.cancelled_job(await serve([answer])) for answer in ODD]
    usual = await outbox.cancelled_job(await serve([]))
    await outbox.sender.start()
    rows = [await outbox.delivery(renter) for renter in odd]
    for row, answer in zip(rows, ODD, strict=True):
        # Nothing of what came is in what the renter reads, but a status.
        assert row.status in ("pending", "delivered"), answer
        assert (row.error is None) is (row.status == "delivered"), answer
        assert row.response_status is None or 100 <= row.response_status < 1000, answer
        assert "169.254" not in (row.error or "")
    assert (await outbox.delivery(usual)).status == "delivered"
    await outbox.sender.stop()


@pytest.mark.parametrize("fault", [ValueError("x"), RuntimeError("10.0.0.1"), UnicodeError("x"), OverflowError("x")])
async def test_a_look_up_that_fails_oddly_fails_its_delivery(
    market: Market, serve: Callable[[list[bytes]], "asyncio.Future[str]"], fault: Exception
) -> None:
    def resolve(host: str) -> list[str]:
        if host == "odd.example":
            raise fault
        return ["127.0.0.1"]

    outbox = Outbox(market, Targets(allow_private=True, resolver=resolve))
    odd = await outbox.cancelled_job("https://odd.example/")
    usual = await outbox.cancelled_job(await serve([]))
    await outbox.sender.start()
    row = await outbox.delivery(odd)
    assert (row.status, row.attempts, row.error in ("The request failed", "The host has no address")) == (
        "pending",
        1,
        True,
    )
    assert (await outbox.delivery(usual)).status == "delivered"
    await outbox.sender.stop()
