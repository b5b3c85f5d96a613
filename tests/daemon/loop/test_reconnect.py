"""Streams that end, are refused or fall silent, and daemons that leave."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import grpc
import pytest

from dc1.daemon.connection import connection
from dc1.daemon.connection import stream as daemon_stream
from dc1.daemon.errors import AccessDeniedError, DaemonError, KeyInUseError, ReplacedError
from dc1.testing.waiting import eventually
from dcp.v1 import daemon_stream_pb2 as pb
from tests.daemon.loop.fake_server import FakeServer, lease
from tests.daemon.loop.whole_daemon import connected, running_daemon

TLS = Path(__file__).parents[2] / "support" / "tls"
NOT_APPROVED = (grpc.StatusCode.PERMISSION_DENIED, "Provider is not approved yet")


async def test_cut_stream_is_opened_again_with_the_lease_and_the_run_goes_on(server: FakeServer) -> None:
    async with connected(server) as (daemon, stream):
        run = await daemon.started(stream)
        stream.cut()
        again = await server.stream()
        assert again.hello.instance_id == stream.hello.instance_id
        [held] = again.hello.state.leases
        assert (held.lease, held.phase) == (lease("job-1", 1), pb.LEASE_PHASE_RUNNING)
        run.finish()
        await again.next("outcome")


async def test_server_that_restarts_gets_its_daemon_back() -> None:
    server = FakeServer()
    async with server.listening():
        daemon_context = connected(server)
        daemon, stream = await daemon_context.__aenter__()
        run = await daemon.started(stream)
    run.finish({"answer": 42})
    async with server.listening():
        again = await server.stream()
        assert again.hello.state.leases[0].phase == pb.LEASE_PHASE_ENDED
        assert (await again.next("outcome")).lease == lease("job-1", 1)
        await daemon_context.__aexit__(None, None, None)


async def test_unreceipted_logs_and_outcome_are_sent_again_on_the_next_stream_only(server: FakeServer) -> None:
    async with connected(server) as (daemon, stream):
        run = await daemon.started(stream)
        await run.sink.log("info", "stored")
        await stream.next("logs")
        stream.receipt_logs(1)
        await run.sink.log("info", "lost")
        lost = await stream.next("logs")
        run.finish()
        outcome = await stream.next("outcome")
        stream.cut()
        again = await server.stream()
        assert await again.next("logs") == lost
        assert await again.next("outcome") == outcome
        assert again.count("logs") == 1
        again.receipt_outcome()
        await daemon.no_leases()
        again.cut()
        third = await server.stream()
        assert not third.hello.state.leases


async def test_output_made_while_cut_off_is_sent_on_return(server: FakeServer) -> None:
    async with connected(server) as (daemon, stream):
        run = await daemon.started(stream)
        server.refusal = (grpc.StatusCode.UNAVAILABLE, "away")
        stream.cut()
        await server.wait_refused(1)
        await run.sink.log("info", "meanwhile")
        await run.sink.token("tok")
        server.refusal = None
        again = await server.stream()
        assert (await again.next("logs")).lines[0].message == "meanwhile"
        assert (await again.next("tokens")).text == "tok"


async def test_lease_given_away_meanwhile_is_stopped_on_return(server: FakeServer) -> None:
    async with connected(server) as (daemon, stream):
        run = await daemon.started(stream)
        server.in_welcome = {"stops": [pb.Stop(lease=lease("job-1", 1), reason=pb.STOP_REASON_LEASE_SUPERSEDED)]}
        stream.cut()
        again = await server.stream()
        await asyncio.wait_for(run.stopped.wait(), 15)
        await daemon.no_leases()
        assert again.count("outcome") == 0


async def test_silent_server_is_left_after_three_missed_answers(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.beat_interval_seconds = 0.1
    server.answers_beats = False
    began = time.monotonic()
    with monkeypatch.context() as strict:
        strict.setattr(daemon_stream, "MISSED_ANSWERS", 3)
        async with connected(server) as (daemon, stream):
            server.answers_beats = True
            await asyncio.to_thread(eventually, lambda: daemon.agent._connection.is_open, "the welcome")
            # How long is waited is known by now; the next stream is heard out, however late its answers come.
            strict.undo()
            again = await server.stream()
            assert time.monotonic() - began >= 3 * server.beat_interval_seconds
            assert stream.count("beat") <= 3
            await again.next("beat", lambda beat: beat.sequence == 5)


async def test_draining_server_is_reconnected_to(server: FakeServer) -> None:
    async with connected(server) as (_, stream):
        stream.send(reconnect=pb.Reconnect(reason=pb.RECONNECT_REASON_SERVER_DRAINING))
        await asyncio.wait_for(stream.ended_by_daemon.wait(), 15)
        await server.stream()


async def test_whoever_is_told_when_to_come_comes_then(server: FakeServer) -> None:
    """By a server that goes, and by an edge that has none: each daemon of a fleet has a turn of its own."""
    async with connected(server) as (_, stream):
        server.refusal = (grpc.StatusCode.UNAVAILABLE, "away", (("retry-after-ms", "400"),))
        began = time.monotonic()
        stream.send(reconnect=pb.Reconnect(reason=pb.RECONNECT_REASON_SERVER_DRAINING, after_seconds=0.3))
        await server.wait_refused(1)
        assert time.monotonic() - began >= 0.3
        await server.wait_refused(2)
        assert time.monotonic() - began >= 0.7
        server.refusal = None
        await server.stream()


@pytest.mark.parametrize(
    ("reason", "error", "sentence"),
    [
        (pb.RECONNECT_REASON_REPLACED, ReplacedError, "Another daemon has connected with this provider's key"),
        (pb.RECONNECT_REASON_ACCESS_REVOKED, AccessDeniedError, "The server has revoked this provider's access"),
    ],
)
async def test_daemon_that_is_sent_away_stops_its_work_and_stays_away(
    server: FakeServer, reason: pb.ReconnectReason.ValueType, error: type[Exception], sentence: str
) -> None:
    async with connected(server) as (daemon, stream):
        run = await daemon.started(stream)
        stream.send(reconnect=pb.Reconnect(reason=reason))
        with pytest.raises(error, match=sentence):
            await daemon.ended()
        assert run.stopped.is_set()


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        (
            (grpc.StatusCode.UNAUTHENTICATED, "Invalid API key"),
            r"The server refused the provider key: Invalid API key\.",
        ),
        ((grpc.StatusCode.PERMISSION_DENIED, "Forbidden"), r"The server refused this provider: Forbidden\."),
        ((grpc.StatusCode.ALREADY_EXISTS, "in use"), r"Another daemon is connected with this provider's key\."),
    ],
)
async def test_refused_daemon_ends_with_a_sentence(
    server: FakeServer, refusal: tuple[grpc.StatusCode, str], sentence: str
) -> None:
    server.refusal = refusal
    async with running_daemon(server) as daemon:
        with pytest.raises((AccessDeniedError, KeyInUseError), match=sentence):
            await daemon.ended()
        assert server.refused == 1


async def test_unapproved_daemon_waits_and_comes_in_once_approved(
    server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.refusal = NOT_APPROVED
    async with running_daemon(server, approval_poll_seconds=0.02) as daemon:
        await server.wait_refused(3)
        server.refusal = None
        await server.stream()
        assert not daemon.task.done()
        said = capsys.readouterr().out
        assert said.count("waiting for approval by an admin") == 1
        assert daemon.config.key not in said


async def test_sigterm_drains_work_before_the_end(server: FakeServer) -> None:
    async with connected(server) as (daemon, stream):
        run = await daemon.started(stream)
        os.kill(os.getpid(), signal.SIGTERM)
        beat = await stream.next("beat")
        assert beat.state.draining
        stream.offer("job-2")
        assert (await stream.next("decline")).reason == "the daemon is draining"
        run.finish()
        await stream.next("outcome")
        assert not daemon.task.done()
        stream.receipt_outcome()
        await daemon.ended()
        assert stream.ended_by_daemon.is_set()


async def test_second_signal_ends_at_once(server: FakeServer) -> None:
    async with connected(server) as (daemon, stream):
        run = await daemon.started(stream)
        os.kill(os.getpid(), signal.SIGTERM)
        await stream.next("beat")
        os.kill(os.getpid(), signal.SIGTERM)
        await daemon.ended()
        assert run.stopped.is_set()
        assert stream.count("outcome") == 0


async def test_work_beyond_the_grace_is_given_back_for_another_attempt(server: FakeServer) -> None:
    async with connected(server, drain_grace_seconds=0.1) as (daemon, stream):
        run = await daemon.started(stream)
        daemon.agent.drain()
        outcome = await stream.next("outcome")
        assert outcome.failure.transient
        assert outcome.failure.error == "the provider's daemon was stopped"
        await asyncio.wait_for(run.stopped.wait(), 15)
        stream.receipt_outcome()
        await daemon.ended()


async def test_drain_finishes_over_a_reconnection(server: FakeServer) -> None:
    async with connected(server) as (daemon, stream):
        run = await daemon.started(stream)
        daemon.agent.drain()
        await stream.next("beat")
        stream.cut()
        again = await server.stream()
        assert again.hello.state.draining
        run.finish()
        await again.next("outcome")
        again.receipt_outcome()
        await daemon.ended()


async def test_idle_daemon_without_a_server_ends_when_told() -> None:
    server = FakeServer()
    async with server.listening():
        pass
    async with running_daemon(server) as daemon:
        daemon.agent.drain()
        await daemon.ended()


async def test_stream_over_tls_with_a_ca_file(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes("# Główny urząd\n".encode() + (TLS / "localhost.pem").read_bytes())
    pair = ((TLS / "localhost.key").read_bytes(), (TLS / "localhost.pem").read_bytes())
    server = FakeServer()
    async with (
        server.listening(grpc.ssl_server_credentials([pair])),
        connected(server, tls=True, ca_file=bundle) as (daemon, stream),
    ):
        assert stream.metadata["x-provider-key"] == daemon.config.key


async def test_stream_over_tls_trusts_what_the_system_trusts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(TLS / "localhost.pem"))
    pair = ((TLS / "localhost.key").read_bytes(), (TLS / "localhost.pem").read_bytes())
    server = FakeServer()
    async with server.listening(grpc.ssl_server_credentials([pair])), connected(server, tls=True) as (daemon, stream):
        assert stream.metadata["x-provider-key"] == daemon.config.key


async def test_ca_file_that_cannot_be_read_ends_the_daemon_with_a_sentence(server: FakeServer) -> None:
    async with running_daemon(server, tls=True, ca_file=TLS / "absent.pem") as daemon:
        with pytest.raises(DaemonError, match="The CA file cannot be read"):
            await daemon.ended()


@pytest.mark.parametrize("content", ["no certificate", "", "-----BEGIN CERTIFICATE-----\nx"])
async def test_ca_file_without_a_certificate_ends_the_daemon_with_a_sentence(
    server: FakeServer, tmp_path: Path, content: str
) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text(content)
    async with running_daemon(server, tls=True, ca_file=junk) as daemon:
        with pytest.raises(DaemonError, match="The CA file holds no certificate"):
            await daemon.ended()


@pytest.mark.parametrize(
    ("serves_tls", "settings", "words"),
    [
        (False, {"tls": True}, "the server speaks no TLS on this port"),
        (True, {"tls": True}, "the server's certificate is not trusted: --ca-file can name one that is"),
        (True, {}, "which needs --tls"),
    ],
)
async def test_tls_on_one_side_only_is_said_in_words(
    server: FakeServer, capsys: pytest.CaptureFixture[str], serves_tls: bool, settings: dict[str, Any], words: str
) -> None:
    pair = ((TLS / "localhost.key").read_bytes(), (TLS / "localhost.pem").read_bytes())
    strict = FakeServer()
    async with strict.listening(grpc.ssl_server_credentials([pair])):
        async with running_daemon(strict if serves_tls else server, **settings):
            async with asyncio.timeout(15):
                said = ""
                while "not_connected" not in said:
                    await asyncio.sleep(0.01)
                    said += capsys.readouterr().out
        assert words in said


async def test_status_that_grpc_lost_is_not_said(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.refusal = (grpc.StatusCode.INTERNAL, "Internal error from Core")
    async with running_daemon(server):
        await server.wait_refused(1)
        server.refusal = None
        await server.stream()
    assert "not_connected" not in capsys.readouterr().out


async def test_a_server_that_takes_its_time_is_waited_for_and_told_of(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a whole fleet is back, daemons that left after a third of the time were looked at all the same, in vain."""
    monkeypatch.setattr(connection, "LONG_WAIT_SECONDS", 0.05)
    server.welcomes_after_seconds = 0.3
    async with running_daemon(server) as daemon:
        await server.stream()
        await asyncio.to_thread(eventually, lambda: daemon.agent._connection.is_open, "the welcome")
    said = capsys.readouterr().out
    assert said.count("no_welcome_yet") == 1
    assert "waiting for up to 60 s" in said
    assert "not_connected" not in said
