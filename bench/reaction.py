"""How soon an idle daemon runs a job that was just submitted."""

import asyncio
import time
from functools import partial

from sqlalchemy import Connection

from bench.children import until
from bench.daemons import SimulatedDaemon, Tally, connect
from bench.market import bench_market
from bench.places import Place
from bench.report import Figure, latency
from bench.rest import RestConnection, request
from bench.seeding import add_providers, add_renters
from bench.throughput import JOB
from dcp.v1.provider_service_pb2_grpc import ProviderServiceStub

_PATIENCE_SECONDS = 10


async def measure_reaction(place: Place, samples: int) -> list[Figure]:
    """Submit one job after the other to a single daemon that takes each at once."""

    def seed(conn: Connection, now_ms: int) -> tuple[list[str], list[str]]:
        return add_renters(conn, now_ms, 1), add_providers(conn, now_ms, 1)

    answered: list[float] = []
    running: list[float] = []
    async with bench_market(place, seed) as (market, (renter_keys, provider_keys)):
        started: asyncio.Queue[float] = asyncio.Queue()
        tally = Tally()
        channel = connect(market.target)
        daemon = SimulatedDaemon(tally, on_start=lambda _: started.put_nowait(time.perf_counter()))
        stream = asyncio.create_task(daemon.run(ProviderServiceStub(channel), provider_keys[0]))
        client = await RestConnection.open(market.port)
        submit = request("POST", "/jobs/submit", {"x-renter-key": renter_keys[0]}, JOB)
        await until(lambda: tally.open == 1, "the stream")
        for number in range(samples):
            sent = time.perf_counter()
            status, body = await client.send(submit)
            assert status == 201, body
            answered.append(time.perf_counter() - sent)
            running.append(await asyncio.wait_for(started.get(), _PATIENCE_SECONDS) - sent)
            await until(partial(_settled, tally, number + 1), "the settlement")
        stream.cancel()
        await asyncio.gather(stream, return_exceptions=True)
        await client.close()
        await channel.close()
    return [latency("submit, one at a time", answered), latency("submit to running on an idle daemon", running)]


def _settled(tally: Tally, jobs: int) -> bool:
    return tally.jobs == jobs
