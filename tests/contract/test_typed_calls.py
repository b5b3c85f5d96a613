"""What native clients have in types, through the edge."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.poll_daemon import MODEL
from dcp.v1 import chat_pb2, job_watch_pb2
from dcp.v1.daemon_stream_pb2 import LOG_LEVEL_INFO
from dcp.v1.job_service_pb2_grpc import JobServiceStub
from dcp.v1.openai_service_pb2_grpc import OpenAIServiceStub
from tests.contract.inference.chat import begin, finish, serve

SECONDS = 60


@pytest.fixture
def channel(market: LocalMarket) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(market.edge.target) as channel:
        yield channel


def test_a_job_is_watched_to_its_end_and_its_result_read(market: LocalMarket, channel: grpc.Channel) -> None:
    renter, daemon = market.add_renter(), market.connect(market.add_provider())
    job_id = renter.submit()["job_id"]
    jobs, who = JobServiceStub(channel), (("x-renter-key", renter.key),)
    assert jobs.GetResult(job_watch_pb2.GetResultRequest(job_id=job_id), metadata=who).WhichOneof("result") is None

    watched = jobs.WatchJob(job_watch_pb2.WatchJobRequest(job_id=job_id, tokens=True), metadata=who, timeout=SECONDS)
    said = [next(watched)]
    lease = begin(daemon)
    daemon.send_logs(lease, 1, "one")
    daemon.send_tokens(lease, "It scatters ")
    finish(daemon, lease, "It scatters blue light.")
    said += watched

    kinds = [message.WhichOneof("said") for message in said]
    assert (kinds[0], kinds[-1]) == ("event", "end")
    (line,) = (message.line for message in said if message.WhichOneof("said") == "line")
    assert (line.line_no, line.level, line.line) == (1, LOG_LEVEL_INFO, "one")
    assert "".join(message.text.text for message in said) == "It scatters "
    sequence = [message.event.sequence for message in said if message.WhichOneof("said") == "event"]
    assert sequence == list(range(1, len(sequence) + 1))
    assert said[-1].end.state == job_watch_pb2.JOB_STATE_COMPLETED
    assert said[0].event.occurred_at.ToMilliseconds() == market.clock.now_ms()

    result = jobs.GetResult(job_watch_pb2.GetResultRequest(job_id=job_id), metadata=who)
    assert (result.text, result.state) == ("It scatters blue light.", job_watch_pb2.JOB_STATE_COMPLETED)
    assert result.actual_cost_halala == said[-1].end.actual_cost_halala == renter.job(job_id)["actual_cost_halala"]


def test_who_comes_back_is_told_what_is_new(market: LocalMarket, channel: grpc.Channel) -> None:
    renter = market.add_renter()
    job_id = renter.submit()["job_id"]
    renter.cancel(job_id)
    jobs, who = JobServiceStub(channel), (("x-renter-key", renter.key),)

    def watch(since: int) -> list[job_watch_pb2.WatchJobResponse]:
        request = job_watch_pb2.WatchJobRequest(job_id=job_id, since_sequence=since)
        return list(jobs.WatchJob(request, metadata=who, timeout=SECONDS))

    everything = watch(0)
    assert watch(1) == everything[1:]
    assert everything[-1].end.state == job_watch_pb2.JOB_STATE_CANCELLED


@pytest.mark.parametrize("method", ["WatchJob", "GetResult"])
def test_jobs_of_others_are_not_told(market: LocalMarket, channel: grpc.Channel, method: str) -> None:
    job_id, stranger = market.add_renter().submit()["job_id"], market.add_renter()
    call = getattr(JobServiceStub(channel), method)
    request = getattr(job_watch_pb2, f"{method}Request")

    def refused(job: str) -> grpc.StatusCode:
        with pytest.raises(grpc.RpcError) as caught:
            list(call(request(job_id=job), metadata=(("x-renter-key", stranger.key),), timeout=SECONDS))
        code: grpc.StatusCode = caught.value.code()
        return code

    assert refused(job_id) is grpc.StatusCode.PERMISSION_DENIED
    assert refused("job-0-none00") is grpc.StatusCode.NOT_FOUND


def test_a_chat_is_answered_in_pieces_and_then_says_what_it_cost(market: LocalMarket, channel: grpc.Channel) -> None:
    renter, daemon = market.add_renter(), market.connect(market.add_provider())
    turn = chat_pb2.ChatTurn(speaker=chat_pb2.CHAT_SPEAKER_USER, text="Why is the sea blue?")
    request = chat_pb2.ChatRequest(model=MODEL, turns=[turn], max_tokens=64)
    with ThreadPoolExecutor(1) as pool:
        served = pool.submit(serve, daemon, "It scatters ", "blue light.")
        metadata = (("x-renter-key", renter.key),)
        parts = list(OpenAIServiceStub(channel).Chat(request, metadata=metadata, timeout=SECONDS))
        served.result()

    *pieces, end = parts
    assert "".join(piece.text for piece in pieces) == "It scatters blue light."
    job = renter.job(end.job_id)
    assert (end.end.prompt_tokens, end.end.actual_cost_halala) == (job["prompt_tokens"], job["actual_cost_halala"])
    assert end.end.completion_tokens > 0


def test_a_chat_that_no_engine_would_take_is_refused(market: LocalMarket, channel: grpc.Channel) -> None:
    metadata = (("x-renter-key", market.add_renter().key),)
    with pytest.raises(grpc.RpcError) as caught:
        list(OpenAIServiceStub(channel).Chat(chat_pb2.ChatRequest(model=MODEL), metadata=metadata, timeout=SECONDS))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
