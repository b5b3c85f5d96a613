"""Whatever a daemon says is the end of that one thing: the market goes on, and so does the job next to it."""

import json
from typing import Any

import grpc
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dc1.control.operations.attempts import Attempts
from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.stream_daemon import StreamDaemon
from dcp.v1 import daemon_stream_pb2 as pb
from tests.contract.expect import answered
from tests.support.made_up_failures import KINDS, Failure
from tests.support.odd_messages import messages

SERIAL = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
FIELDS = [
    "api_key",
    "result",
    "error",
    "error_category",
    "gpu_seconds",
    "duration_seconds",
    "transient",
    "prompt_tokens",
    "completion_tokens",
    "attempt_number",
    "exit_code",
    "job_id",
    "success",
    "gpu_seconds_used",
    "restart_count",
    "last_error",
    "lines",
    "line",
    "phase",
    "port",
    "provider_ip",
    "gpu_status",
    "gpu_info",
    "cached_models",
    "vllm_models",
    "event_type",
    "severity",
    "details",
    "checks",
    "key",
]
PATHS = (
    "/jobs/1/result",
    "/jobs/1/fail",
    "/jobs/1/logs",
    "/jobs/1/progress",
    "/jobs/1/endpoint-ready",
    "/providers/job-result",
    "/providers/heartbeat",
    "/providers/readiness",
    "/providers/daemon-event",
)


class Neighbour:
    """A job that runs beside what is made up."""

    def __init__(self, market: LocalMarket) -> None:
        self._renter = market.add_renter()
        provider = market.add_provider()
        self._daemon = market.connect(provider)
        self._job = self._renter.submit(provider_id=provider.id)
        self._lease = self._daemon.accept(self._daemon.expect("offer")).lease
        self._daemon.state.leases.add(lease=self._lease, phase=pb.LEASE_PHASE_RUNNING)
        self._market = market

    def says_a_line(self) -> None:
        batch = pb.LogBatch(lease=self._lease, sequence=1)
        batch.lines.add(message="half done")
        self._daemon.send(logs=batch)

    def goes_on(self) -> None:
        assert self._market.rest.get("/health").json()["status"] == "ok"
        assert not self._daemon.beat().stops

    def ends_well(self) -> None:
        self.goes_on()
        assert self._daemon.finish(self._lease, {"response": "fine"}).verdict == pb.OUTCOME_VERDICT_SETTLED
        assert self._renter.job(self._job["id"])["status"] == "completed"
        assert answered(self._market.admin.get("/admin/finance/books"))["balanced"] is True


def test_on_the_stream(market: LocalMarket, provider: PollDaemon, renter: Renter) -> None:
    neighbour = Neighbour(market)
    job_id = renter.submit()["job_id"]

    @SERIAL
    @given(
        hello=st.none() | messages(pb.ConnectRequest, (job_id,)),
        said=st.lists(messages(pb.ConnectRequest, (job_id,)), max_size=5),
    )
    def say(hello: pb.ConnectRequest | None, said: list[pb.ConnectRequest]) -> None:
        daemon = StreamDaemon(market.edge.target, provider.key, {})
        try:
            if hello is None:
                daemon.hello()
            else:
                daemon._say(hello)
            for message in said:
                daemon._say(message)
            neighbour.goes_on()
        finally:
            daemon.close()

    say()
    neighbour.ends_well()


def test_a_mistake_of_ours_is_the_end_of_one_message(market: LocalMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    neighbour = Neighbour(market)
    for kind in KINDS:
        # Bound here: each is its own.
        async def fail(*_: Any, failure: Failure = kind) -> None:
            raise failure()

        monkeypatch.setattr(Attempts, "append_logs", fail)
        neighbour.says_a_line()
        neighbour.goes_on()
    monkeypatch.undo()
    neighbour.ends_well()


def test_bytes_that_are_no_message(market: LocalMarket, provider: PollDaemon) -> None:
    neighbour = Neighbour(market)
    with grpc.insecure_channel(market.edge.target) as channel:
        connect: Any = channel.stream_stream("/dcp.v1.ProviderService/Connect")
        hello = pb.ConnectRequest(hello=pb.Hello()).SerializeToString()

        @SERIAL
        @given(
            st.lists(st.binary(min_size=1, max_size=200) | st.just(b"\x0a\x02\xff\xfe") | st.just(hello), max_size=4)
        )
        def say(sent: list[bytes]) -> None:
            call = connect(iter(sent), metadata=(("x-provider-key", provider.key),), timeout=5)
            try:
                for _ in call:
                    pass
            except grpc.RpcError:
                pass
            assert call.code() not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN), call.details()
            neighbour.goes_on()

        say()
        # What is no message is refused as such, and not with an end as if all were well.
        call = connect(iter([hello, b"\xff"]), metadata=(("x-provider-key", provider.key),), timeout=5)
        with pytest.raises(grpc.RpcError):
            for _ in call:
                pass
        assert call.code() is grpc.StatusCode.INVALID_ARGUMENT
    neighbour.ends_well()


def test_by_http(market: LocalMarket, provider: PollDaemon, renter: Renter) -> None:
    neighbour = Neighbour(market)
    provider.heartbeat()

    @SERIAL
    @given(
        path=st.sampled_from(PATHS),
        body=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6),
        works=st.booleans(),
    )
    def say(path: str, body: Any, works: bool) -> None:
        if works:
            # So that some of it is about a run of this daemon.
            renter.submit(duration_minutes=1)
            job = provider.ask()["job"]
            path = path.replace("/1/", f"/{job['id']}/") if job else path
            market.admin.adjust(renter.id, 100)
        body.pop("api_key", None)
        content = json.dumps(body).encode("utf-8", "replace")
        answer: httpx.Response = market.rest.rest("POST", path, content=content, key=provider.key)
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            assert isinstance(answer.json()["error"], str)
        neighbour.goes_on()

    say()
    neighbour.ends_well()
