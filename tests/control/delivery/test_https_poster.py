"""What a connection to a stranger's host leaves behind."""

import asyncio
import gc

import httpx

from dc1.control.delivery.https_poster import HttpsPoster
from dc1.control.delivery.webhook_targets import Target


async def test_a_handshake_that_is_broken_off_leaves_no_connection() -> None:
    met: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await met.put((reader, writer))

    host = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = host.sockets[0].getsockname()[1]
    poster = HttpsPoster()
    # The collector would close it sooner or later.
    gc.disable()
    try:
        target = Target(httpx.URL(f"https://example.com:{port}/hook"), ("127.0.0.1",))
        post = asyncio.create_task(poster.post(target, b"{}", {}))
        reader, writer = await met.get()
        # Its first words are here, so that it waits for ours.
        await reader.read(1)
        post.cancel()
        await asyncio.wait([post])
        await asyncio.wait_for(reader.read(), 5)
        assert reader.at_eof()
        writer.close()
    finally:
        gc.enable()
        await poster.close()
        host.close()
