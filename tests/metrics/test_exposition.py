"""The address of metrics: who may read there, and that nobody who reads is in the market's way."""

import asyncio
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client import Counter
from structlog.testing import capture_logs

from dc1.metrics.address import MetricsAddress, of_server
from dc1.metrics.exposition import Exposition, MetricsError, NothingToTellError, page_of

COUNTED = Counter("counted", "What was counted.", registry=None)
TOKEN = "a-token-of-thirty-two-characters"


@asynccontextmanager
async def served(address: MetricsAddress) -> AsyncIterator[Exposition]:
    def nothing(_accept: str) -> tuple[str, bytes]:
        raise NothingToTellError("Not now.")

    def broken(_accept: str) -> tuple[str, bytes]:
        raise KeyError("odd")

    pages = {"/metrics": page_of(COUNTED), "/metrics/other": nothing, "/metrics/broken": broken}
    exposition = Exposition(address, pages)
    await exposition.start()
    try:
        yield exposition
    finally:
        await exposition.stop()


async def test_a_port_tells_what_there_is_in_the_reader_s_form() -> None:
    async with served(MetricsAddress.of("0")) as exposition, reader(f"http://127.0.0.1:{exposition.port}") as client:
        plain = await client.get("/metrics")
        open_metrics = await client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
        missing, silent = await client.get("/"), await client.get("/metrics/other")

    assert (plain.status_code, "counted_total 0.0" in plain.text) == (200, True)
    assert open_metrics.text.endswith("# EOF\n")
    assert (missing.status_code, missing.text) == (404, "Here are /metrics, /metrics/other, /metrics/broken.\n")
    assert (silent.status_code, silent.text) == (503, "Not now.\n")


async def test_a_page_that_cannot_be_made_is_logged_and_ends_its_reader_alone() -> None:
    async with served(MetricsAddress.of("0")) as exposition, reader(f"http://127.0.0.1:{exposition.port}") as client:
        with capture_logs() as logged, pytest.raises(httpx.RemoteProtocolError):
            await client.get("/metrics/broken")
        assert (await client.get("/metrics")).status_code == 200
    assert [each["event"] for each in logged] == ["metrics_page_failed"]


async def test_a_token_is_asked_for_before_anything_is_told() -> None:
    async with (
        served(MetricsAddress.of("127.0.0.1:0", TOKEN)) as exposition,
        reader(f"http://127.0.0.1:{exposition.port}") as client,
    ):
        answers = [
            (await client.get("/metrics", headers=headers)).status_code
            for headers in ({}, {"Authorization": "Bearer other"}, {"Authorization": f"Bearer {TOKEN}"})
        ]

    assert answers == [401, 401, 200]


async def test_a_unix_socket_is_its_owner_s_alone_and_replaces_what_a_killed_process_left(tmp_path: Path) -> None:
    path = tmp_path / "metrics.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(str(path))
    async with served(MetricsAddress.of(f"unix:{path}")), reader("http://here", uds=str(path)) as client:
        answer = await client.get("/metrics")
        rights = stat.S_IMODE(path.stat().st_mode)
        with pytest.raises(MetricsError, match="in use"):
            await Exposition(MetricsAddress.of(f"unix:{path}"), {}).start()

    assert (answer.status_code, rights, path.exists()) == (200, 0o600, False)


async def test_a_taken_port_is_said_with_the_setting_that_names_it() -> None:
    async with served(MetricsAddress.of("0")) as exposition:
        with pytest.raises(MetricsError, match=r"DC1_METRICS_ADDRESS\): Port \d+ on 127.0.0.1 is taken"):
            await Exposition(MetricsAddress.of(str(exposition.port)), {}).start()


async def test_more_readers_than_have_room_are_turned_away_and_room_comes_back() -> None:
    async with served(MetricsAddress.of("0")) as exposition, reader(f"http://127.0.0.1:{exposition.port}") as client:
        idle = [await asyncio.open_connection("127.0.0.1", exposition.port) for _ in range(8)]
        extra, writer = await asyncio.open_connection("127.0.0.1", exposition.port)
        turned_away = await extra.read()
        for _, each in (*idle, (extra, writer)):
            each.close()
            await each.wait_closed()
        async with asyncio.timeout(10):
            while (answered := await status(client)) != 200:  # noqa: ASYNC110 - no event tells of a thread's end
                await asyncio.sleep(0.02)

    assert (turned_away, answered) == (b"", 200)


@pytest.mark.parametrize(
    "text", ["", "http", "70000", "0.0.0.0:9464", "[::]:9464", "market.example:9464", "unix:relative.sock"]
)
def test_what_is_no_address_or_one_for_everybody_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be|others reach|absolute"):
        MetricsAddress.of(text)


def test_others_may_reach_an_address_with_a_token() -> None:
    assert MetricsAddress.of("[::]:9464", TOKEN) == MetricsAddress("::", 9464, token=TOKEN)
    assert TOKEN not in repr(MetricsAddress.of("[::]:9464", TOKEN))


def reader(url: str, uds: str | None = None) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(uds=uds)
    return httpx.AsyncClient(base_url=url, transport=transport, trust_env=False)


async def status(client: httpx.AsyncClient) -> int:
    try:
        return (await client.get("/metrics")).status_code
    except httpx.TransportError:
        return 0


@pytest.mark.parametrize(
    ("text", "second"),
    [
        ("9464", "9465"),
        ("[::1]:9464", "[::1]:9465"),
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("unix:/run/dc1/metrics.sock", "unix:/run/dc1/metrics-2.sock"),
    ],
)
def test_of_several_servers_each_is_read_somewhere_else(text: str, second: str) -> None:
    assert [of_server(text, 1), of_server(text, 2)] == [text, second]
