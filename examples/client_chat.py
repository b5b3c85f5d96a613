"""A streamed chat through the client, with an event loop.

Reads DC1_URL and DC1_RENTER_KEY: `python examples/client_chat.py "Why is the sea blue?"`.
"""

import asyncio
import sys

from dc1.client import AsyncClient


async def main() -> None:
    """Ask the first model that can be called."""
    async with AsyncClient() as client:
        model = (await client.market.models())[0]["id"]
        stream = await client.chat(model, sys.argv[1], stream=True, max_tokens=64)
        async for text in stream:
            print(text, end="", flush=True)
        print("\n", stream.progress.usage["total_tokens"], " tokens", sep="")


asyncio.run(main())
