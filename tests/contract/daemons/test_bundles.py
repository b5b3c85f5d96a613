"""A daemon that says several things in one message, begins calls with their offers, and waits for no other end."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import grpc
import pytest
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Value

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import MODEL, REPORT, PollDaemon
from dc1.testing.stream_daemon import StreamDaemon, lease_of
from dcp.v1 import daemon_stream_pb2 as pb
from tests.contract.expect import answered

CALL = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}
RESULT = json_format.ParseDict({"type": "text", "response": "Hello", "finish_reason": "stop"}, Value())


@pytest.fixture
def daemon(market: LocalMarket, provider: PollDaemon) -> StreamDaemon:
    """P on the stream, with an engine for four calls."""
    daemon = StreamDaemon(market.edge.target, provider.key, REPORT)
    daemon.state.takes_bundles = daemon.state.begins_with_offers = True
    daemon.state.inference_slots = 4
    assert daemon.hello().takes_bundles
    return daemon


def outcome(lease: pb.LeaseRef) -> pb.ConnectRequest:
    return pb.ConnectRequest(outcome=pb.Outcome(lease=lease, result=RESULT, prompt_tokens=1, completion_tokens=1))


def test_a_call_from_its_offer_to_its_end_in_one_message(
    market: LocalMarket, renter: Renter, daemon: StreamDaemon
) -> None:
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(renter.post, "/v1/chat/completions", CALL)
        offer = daemon.expect("offer")
        assert offer.run_seconds == 300
        lease = lease_of(offer)
        said = [
            pb.ConnectRequest(accept=pb.Accept(lease=lease)),
            pb.ConnectRequest(progress=pb.Progress(lease=lease, phase="generating")),
            pb.ConnectRequest(tokens=pb.TokenBatch(lease=lease, text="Hello", count=1)),
            outcome(lease),
        ]
        daemon.send(bundle=pb.RequestBundle(messages=said))
        assert answered(call.result())["choices"][0]["message"]["content"] == "Hello"
    assert daemon.expect("outcome_receipt").verdict == pb.OUTCOME_VERDICT_SETTLED
    assert renter.job(1)["status"] == "completed"
    daemon.close()


NESTED = pb.ConnectRequest(bundle=pb.RequestBundle(messages=[pb.ConnectRequest(beat=pb.Beat())]))


@pytest.mark.parametrize("said", [[NESTED], [pb.ConnectRequest(beat=pb.Beat())] * 257], ids=["nested", "many"])
def test_a_bundle_that_is_none_ends_the_stream(daemon: StreamDaemon, said: list[pb.ConnectRequest]) -> None:
    daemon.send(bundle=pb.RequestBundle(messages=said))
    ended = daemon.ended()
    assert isinstance(ended, grpc.Call)
    assert ended.code() == grpc.StatusCode.INVALID_ARGUMENT
    daemon.close()


def test_the_end_of_one_call_holds_up_no_other(market: LocalMarket, renter: Renter, daemon: StreamDaemon) -> None:
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(renter.post, "/v1/chat/completions", CALL)
        ending = lease_of(daemon.expect("offer"))
        with market.rest.stream(
            "/v1/chat/completions", method="POST", key=renter.key, json={**CALL, "stream": True}
        ) as second:
            going_on = lease_of(daemon.expect("offer"))
            for lease in (ending, going_on):
                daemon.send(accept=pb.Accept(lease=lease))
            # Nobody else can commit while somebody writes.
            with closing(sqlite3.connect(market.data_directory / "dc1.sqlite3", isolation_level=None)) as writer:
                writer.execute("BEGIN IMMEDIATE")
                daemon.send(bundle=pb.RequestBundle(messages=[outcome(ending)]))
                daemon.send_tokens(going_on, "Hello")
                lines = second.iter_lines()
                while '"Hello"' not in next(lines):
                    pass
                assert not first.done()
                writer.execute("ROLLBACK")
            assert answered(first.result())["choices"][0]["message"]["content"] == "Hello"
            daemon.send(bundle=pb.RequestBundle(messages=[outcome(going_on)]))
            assert list(lines)[-2] == "data: [DONE]"
    daemon.close()
