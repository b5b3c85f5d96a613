"""A replica dies and its whole fleet comes to the other one at once."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import grpc
import pytest
from google.protobuf import json_format
from sqlalchemy import text

from dc1.domain.access import keys
from dc1.domain.access.keys import KeyRole
from dc1.domain.jobs.states import JOB_TYPES
from dc1.storage.accounts import keys as key_rows
from dc1.storage.engine.database import Connection
from dc1.storage.providers import providers
from dc1.storage.providers.providers import NewProvider
from dc1.testing.daemon_script import DaemonScript
from dc1.testing.poll_daemon import REPORT
from dcp.v1 import daemon_stream_pb2 as pb
from dcp.v1 import report_pb2
from dcp.v1.provider_service_pb2_grpc import ProviderServiceStub
from tests.replicas.pair import Pair

FLEET = 300
STREAMS = 100
# A server that looks just then sends a tenth of them to the other one, be it before it has welcomed them.
MOST_OF_THEM = FLEET * 0.9
PATIENCE_SECONDS = 30
CONNECTIONS = 8


def enlist(conn: Connection) -> list[str]:
    """Approved providers; returns their keys."""
    now_ms = int(time.time() * 1000)
    made = []
    for number in range(FLEET):
        key = keys.new_key(KeyRole.PROVIDER)
        new = NewProvider(f"Provider {number}", f"fleet{number}@example.sa", "RTX 4090", "linux")
        provider_id = providers.register(conn, new, now_ms)
        providers.set_approved(conn, provider_id, now_ms)
        key_rows.add(conn, KeyRole.PROVIDER, provider_id, key, now_ms)
        made.append(key.key)
    return made


@asynccontextmanager
async def connected(target: str, fleet: Sequence[str]) -> AsyncIterator[float]:
    """All daemons have a stream while the block runs; gives the seconds until the last one was welcomed."""
    report = json_format.ParseDict(REPORT, report_pb2.HeartbeatRequest())
    hello = DaemonScript(pb.DaemonState(report=report, job_types=JOB_TYPES)).hello()
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with AsyncExitStack() as stack:
        # A connection has so many streams at the most.
        stubs = [
            ProviderServiceStub(await stack.enter_async_context(grpc.aio.insecure_channel(target, options=options)))
            for _ in range(-(-len(fleet) // STREAMS))
        ]
        calls = [
            stubs[number // STREAMS].Connect(metadata=(("x-provider-key", key),)) for number, key in enumerate(fleet)
        ]

        async def greet(call: "grpc.aio.StreamStreamCall[pb.ConnectRequest, pb.ConnectResponse]") -> bool:
            await call.write(hello)
            answer = await call.read()
            assert isinstance(answer, pb.ConnectResponse), await call.details()
            if answer.WhichOneof("message") == "welcome":
                return True
            assert answer.reconnect.reason == pb.RECONNECT_REASON_SERVER_DRAINING
            return False

        began = time.monotonic()
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert sum(await asyncio.gather(*(greet(call) for call in calls))) >= MOST_OF_THEM
        yield time.monotonic() - began
        for call in calls:
            call.cancel()


def connections(conn: Connection) -> int:
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
    )
    return int(conn.execute(text(query)).scalar_one())


@pytest.mark.settings(database_connections=CONNECTIONS)
async def test_a_fleet_that_comes_back_at_once_is_let_in_on_the_connections_there_are(pair: Pair) -> None:
    fleet = await asyncio.to_thread(pair.a.store, enlist)
    async with connected(pair.a.target, fleet):
        assert pair.a.server.open_streams >= MOST_OF_THEM
    async with connected(pair.b.target, fleet) as seconds:
        assert pair.b.server.open_streams >= MOST_OF_THEM
        used = await asyncio.to_thread(pair.b.stored, connections)
        # Each replica has its pool, and one connection each to listen and to tell.
        assert used <= 2 * (CONNECTIONS + 2)
    print(f"{FLEET} daemons that come at once are all welcomed after {seconds:.1f} s, on {used} connections")
