"""Calls by many clients at once, each waiting for its answer before the next call."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bench.market import BenchMarket, Spent
from bench.rest import RestConnection


@dataclass(frozen=True, slots=True)
class Load:
    """What came of it: answers by status, the time each took, and what the market spent meanwhile."""

    statuses: Counter[int]
    latencies: list[float]
    spent: Spent


async def calls_at_once(market: BenchMarket, requests: Sequence[bytes], seconds: float) -> Load:
    """Send each request over and over on a connection of its own."""
    statuses: Counter[int] = Counter()
    latencies: list[float] = []
    connections = [await RestConnection.open(market.port) for _ in requests]
    reading = market.read()
    deadline = time.perf_counter() + seconds

    async def insist(connection: RestConnection, request: bytes) -> None:
        while (sent := time.perf_counter()) < deadline:
            status, _ = await connection.send(request)
            latencies.append(time.perf_counter() - sent)
            statuses[status] += 1

    await asyncio.gather(*(insist(*pair) for pair in zip(connections, requests, strict=True)))
    spent = market.spent(reading)
    for connection in connections:
        await connection.close()
    return Load(statuses, latencies, spent)
