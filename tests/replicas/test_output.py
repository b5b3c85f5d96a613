"""What a run says through one replica is read on the other while it runs."""

from dc1.testing.people import Renter
from dc1.testing.sse import Events, events
from dc1.testing.waiting import eventually
from dcp.v1 import daemon_stream_pb2 as pb
from tests.replicas.pair import Pair

LONG_TEXT = "بحر \U0001f30a " * 4000


def words(stream: Events, length: int) -> str:
    """Generated text of so many characters."""
    text = ""
    while len(text) < length:
        event = stream.next()
        assert event.name == "token", event
        text += event.data["text"]
    return text


def test_logs_tokens_and_the_end_cross_replicas_as_they_come(pair: Pair, renter: Renter) -> None:
    daemon = pair.connect(pair.add_provider(pair.b), pair.b)
    job = renter.submit()
    lease = daemon.accept(daemon.expect("offer")).lease
    path = f"/jobs/{job['id']}/logs/stream"
    with events(pair.a.rest, path, key=renter.key, params={"tokens": "true"}) as stream:
        eventually(lambda: pair.b.has_readers_elsewhere(job["id"]), "B knowing that A reads it")
        daemon.send_logs(lease, 1, "loading", "loaded")
        assert [stream.next().data["line"] for _ in range(2)] == ["loading", "loaded"]
        daemon.send_tokens(lease, "The sea ")
        assert words(stream, 8) == "The sea "
        daemon.send_tokens(lease, LONG_TEXT)
        assert words(stream, len(LONG_TEXT)) == LONG_TEXT
        daemon.send_logs(lease, 2, "done")
        assert stream.next().data["line"] == "done"
        daemon.finish(lease, {"type": "text", "response": "ok"})
        end = stream.next()
        assert (end.name, end.data["status"]) == ("end", "completed")
    assert renter.get(f"/jobs/{job['id']}/output").json()["response"] == "ok"
    shown = pair.b.renter(renter).get(f"/jobs/{job['id']}/logs").json()
    assert [line["message"] if "message" in line else line["line"] for line in shown["logs"]] == [
        "loading",
        "loaded",
        "done",
    ]


def test_a_phase_reported_on_one_replica_is_shown_by_the_other(pair: Pair, renter: Renter) -> None:
    daemon = pair.connect(pair.add_provider(pair.b), pair.b)
    job = renter.submit()
    lease = daemon.accept(daemon.expect("offer")).lease
    daemon.send(progress=pb.Progress(lease=lease, phase="generating"))
    daemon.beat()
    assert renter.job(job["id"])["progress_phase"] == "generating"
