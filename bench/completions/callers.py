"""Callers who stream chat completions, and note when what came."""

import asyncio
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from bench.completions.stub_engine import MODEL, TOKENS
from bench.rest import request

_BODY = {
    "model": MODEL,
    "messages": [{"role": "system", "content": "You are brief."}, {"role": "user", "content": "Say sixteen words."}],
    "stream": True,
    "max_tokens": 256,
    "stream_options": {"include_usage": True},
}
# What the engine puts into a token: when it was made. Gateways may order the rest of an event as they like.
_MADE = re.compile(rb'"content": ?"(\d+) "')
_DONE = b"data: [DONE]"


@dataclass
class Heard:
    """What callers heard, in seconds: until the first token, between tokens, from the engine to the caller."""

    answers: int = 0
    seconds: float = 0.0
    first: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    carried: list[float] = field(default_factory=list)

    def plus(self, other: Self) -> None:
        """Add what was heard in another round."""
        self.answers += other.answers
        self.seconds += other.seconds
        self.first += other.first
        self.gaps += other.gaps
        self.carried += other.carried


async def call_for(port: int, keys: Sequence[str], seconds: float) -> Heard:
    """Let a caller for each key stream one answer after the other, each on a connection kept open."""
    heard = Heard()
    started = time.monotonic()
    deadline = started + seconds

    async def insist(key: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        sent = request("POST", "/v1/chat/completions", {"authorization": f"Bearer {key}"}, _BODY)
        while time.monotonic() < deadline:
            writer.write(sent)
            await _listen(reader, heard)
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(insist(key) for key in keys))
    heard.seconds = time.monotonic() - started
    return heard


async def _listen(reader: asyncio.StreamReader, heard: Heard) -> None:
    asked_at, last_at, tokens = time.monotonic(), 0.0, 0
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"a call was refused: {head.decode()}{(await reader.read(2000)).decode()}")
    whole = b""
    while length := int(await reader.readuntil(b"\r\n"), 16):
        piece = (await reader.readexactly(length + 2))[:-2]
        now = time.monotonic()
        for made in _MADE.findall(piece):
            tokens += 1
            heard.carried.append(now - int(made) / 1e9)
            if last_at:
                heard.gaps.append(now - last_at)
            else:
                heard.first.append(now - asked_at)
            last_at = now
        whole = whole[-1000:] + piece
    await reader.readuntil(b"\r\n")
    if tokens != TOKENS or _DONE not in whole:
        raise RuntimeError(f"{tokens} of {TOKENS} tokens came, then {json.dumps(whole.decode())}")
    heard.answers += 1
