"""Whatever is said to the daemon ends the one thing it was said of: its neighbours, and the daemon, live on."""

import asyncio
import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dc1.daemon.agent import Agent
from dc1.daemon.config import DaemonConfig
from dc1.daemon.runners.base import Readiness
from dc1.daemon.runners.inference.engine import EngineRunner
from dc1.daemon.runners.inference.engine_openai import OpenAIEngine
from dc1.domain.base.json_types import JsonObject
from dc1.domain.jobs.states import JobType
from dc1.testing.machine import MadeUpMachine
from dcp.v1 import daemon_stream_pb2 as pb
from tests.daemon.loop.fake_server import DEADLINE_SECONDS, FakeServer, FakeStream, lease, make_assignment
from tests.daemon.loop.scripted_runner import ScriptedRunner
from tests.daemon.loop.whole_daemon import KEY, DaemonUnderTest, connected, running_daemon

MADE_UP = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ODD_COUNTS = [-5, 5.5, 2**40, True, "7", math.nan, math.inf, [], {}, None]
COUNTS = st.sampled_from(ODD_COUNTS) | st.integers() | st.floats() | st.text(max_size=3)
ODD_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


class OddEngine:
    """An HTTP server that answers what it is told, however little that is of the OpenAI API."""

    def __init__(self) -> None:
        self.models: Any = {"data": [{"id": "m"}]}
        self.chunks: list[Any] = []
        self.url = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["OddEngine"]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield self

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET"):
            body = json.dumps(self.models).encode()
        else:
            body = b"".join(b"data: %s\n\n" % json.dumps(chunk).encode() for chunk in self.chunks) + b"data: [DONE]\n\n"
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()


async def neighbour_lives(daemon: DaemonUnderTest, stream: FakeStream) -> None:
    """Run another job to its end on the same stream."""
    run = await daemon.started(stream, "neighbour")
    run.finish("well")
    outcome = await stream.next("outcome", lambda said: said.lease.job_id == "neighbour")
    assert outcome.result.string_value == "well"
    stream.receipt_outcome("neighbour")
    assert not daemon.task.done()


@asynccontextmanager
async def beside_an_engine(server: FakeServer, engine: OddEngine) -> AsyncIterator[tuple[DaemonUnderTest, FakeStream]]:
    neighbour = ScriptedRunner(kinds=frozenset({JobType.TRAINING}))
    config = DaemonConfig(key=KEY, server=f"127.0.0.1:{server.port}")
    machine = MadeUpMachine(gpu_count=4)
    agent = Agent(config, [EngineRunner(OpenAIEngine(engine.url)), neighbour], machine)
    task = asyncio.create_task(agent.run())
    try:
        yield DaemonUnderTest(agent, neighbour, machine, config, task), await server.stream()
    finally:
        agent.drain()
        agent.drain()
        await asyncio.wait({task}, timeout=DEADLINE_SECONDS)


async def chat_beside_a_neighbour(chunks: list[Any], models: Any = None) -> pb.Outcome | None:
    """Return the outcome of a chat that the engine answers so; None when the daemon declined it."""
    server, engine = FakeServer(), OddEngine()
    engine.chunks = chunks
    engine.models = models if models is not None else engine.models
    outcome = None
    async with server.listening(), engine.serving(), beside_an_engine(server, engine) as (daemon, stream):
        stream.offer("other", job_type="training")
        await stream.next("accept", lambda said: said.lease.job_id == "other")
        stream.start("other")
        run = await daemon.runner.next_run()
        if "llm_inference" in stream.hello.state.job_types:
            stream.offer("chat", params={"prompt": "hi"})
            await stream.next("accept", lambda said: said.lease.job_id == "chat")
            stream.start("chat")
            outcome = await stream.next("outcome", lambda said: said.lease.job_id == "chat")
        run.finish("well")
        assert (await stream.next("outcome")).lease.job_id == "other"
        assert not daemon.task.done()
    return outcome


@pytest.mark.parametrize("count", ODD_COUNTS[:4])
async def test_an_odd_count_of_tokens_is_no_count(count: Any) -> None:
    usage = {"prompt_tokens": count, "completion_tokens": count}
    outcome = await chat_beside_a_neighbour([{"choices": [{"delta": {"content": "a"}}]}, {"usage": usage}])
    assert outcome is not None
    assert outcome.WhichOneof("end") == "result"
    assert not outcome.HasField("prompt_tokens")
    assert outcome.completion_tokens == 1


@MADE_UP
@given(st.lists(ODD_JSON | st.fixed_dictionaries({}, optional={"usage": ODD_JSON, "choices": ODD_JSON}), max_size=3))
def test_an_engine_may_stream_anything(chunks: list[Any]) -> None:
    assert asyncio.run(chat_beside_a_neighbour(chunks)) is not None


@MADE_UP
@given(ODD_JSON | st.fixed_dictionaries({"data": ODD_JSON | st.lists(st.fixed_dictionaries({"id": ODD_JSON}))}))
def test_an_engine_may_list_anything_as_its_models(models: Any) -> None:
    asyncio.run(chat_beside_a_neighbour([], models))


@MADE_UP
@given(st.lists(st.tuples(ODD_JSON, COUNTS, COUNTS, COUNTS), min_size=1, max_size=4))
def test_a_run_may_end_in_anything(ends: list[tuple[Any, Any, Any, Any]]) -> None:
    async def run() -> None:
        server = FakeServer()
        async with server.listening(), connected(server) as (daemon, stream):
            for number, (payload, prompt, completion, status) in enumerate(ends):
                ending = await daemon.started(stream, f"job-{number}")
                ending.finish(payload, prompt_tokens=prompt, completion_tokens=completion, exit_code=status)
                await stream.next("outcome")
                stream.receipt_outcome(f"job-{number}")
            await neighbour_lives(daemon, stream)

    asyncio.run(run())


async def test_a_result_too_deep_for_the_server_fails_its_job_alone(server: FakeServer) -> None:
    deep: JsonObject = {}
    for _ in range(33):
        deep = {"in": deep}
    async with connected(server) as (daemon, stream):
        (await daemon.started(stream)).finish(deep)
        assert (await stream.next("outcome")).failure.category == "invalid_result"
        stream.receipt_outcome()
        await neighbour_lives(daemon, stream)


@MADE_UP
@given(
    st.lists(ODD_JSON | st.dictionaries(st.sampled_from(["gpu_count", "all_gpus"]), ODD_JSON), min_size=1, max_size=3)
)
def test_telemetry_may_say_anything(samples: list[Any]) -> None:
    async def run() -> None:
        # With beats that come by themselves, three a second, a machine that stands still for one would end the stream.
        server = FakeServer()
        async with server.listening(), connected(server) as (daemon, stream):
            for status in samples:
                daemon.telemetry.status = status
                daemon.beat_now()
                await stream.next("beat")
            await neighbour_lives(daemon, stream)

    asyncio.run(run())


class FailingRunner(ScriptedRunner):
    """One whose look fails in no expected way."""

    async def probe(self) -> Readiness:
        raise AttributeError("'list' object has no attribute 'get'")

    async def aclose(self) -> None:
        await super().aclose()
        raise OSError("gone")


async def test_a_runner_that_cannot_be_looked_at_is_unavailable(server: FakeServer) -> None:
    async with running_daemon(server, FailingRunner()) as daemon:
        stream = await server.stream()
        assert list(stream.hello.state.job_types) == []
        assert not daemon.task.done()


def odd_numbers() -> st.SearchStrategy[float]:
    # Without those that could be an interval: with many beats a second another stream would be a fault of the test's.
    return st.floats().filter(lambda number: not 0.01 <= number <= 30.0) | st.sampled_from([math.nan, math.inf, -1.0])


def odd_messages() -> st.SearchStrategy[dict[str, Any]]:
    def offer(number: float) -> pb.Offer:
        assignment = make_assignment("odd")
        assignment.container_spec["gpu_count"] = number
        assignment.params.struct_value["max_tokens"] = number
        return pb.Offer(assignment=assignment)

    def desired(number: float) -> pb.Desired:
        return pb.Desired(beat_interval_seconds=number, min_version=str(number), offers=[offer(number)])

    return (
        st.builds(lambda number: {"offer": offer(number)}, odd_numbers())
        | st.builds(lambda number: {"desired": desired(number)}, odd_numbers())
        | st.builds(
            lambda number: {"start": pb.Start(lease=lease("odd", 1), seconds_left=number)},
            odd_numbers(),
        )
        | st.builds(lambda reason: {"stop": pb.Stop(lease=lease("odd", 1), reason=reason)}, st.integers(0, 2**31 - 1))
        | st.builds(
            lambda number: {"log_receipt": pb.LogReceipt(lease=lease("odd", 1), sequence=number)},
            st.integers(0, 2**31 - 1),
        )
    )


@MADE_UP
@given(st.lists(odd_messages(), min_size=1, max_size=5))
def test_the_server_may_say_anything(messages: list[dict[str, Any]]) -> None:
    async def run() -> None:
        server = FakeServer()
        machine = MadeUpMachine(gpu_count=8)
        async with server.listening(), connected(server, telemetry=machine) as (daemon, stream):
            run = await daemon.started(stream, "running")
            for message in messages:
                stream.send(**message)
            stream.stop("odd")
            run.finish("well")
            # On the first stream: none was cut for what was said on it.
            outcome = await stream.next("outcome", lambda said: said.lease.job_id == "running")
            assert outcome.result.string_value == "well"
            assert not daemon.task.done()

    asyncio.run(run())
