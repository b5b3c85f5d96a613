"""A provider's daemon on the stream, which says what a script makes it say."""

import queue
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import grpc
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Value

from dc1 import defaults
from dc1.domain.jobs.states import JOB_TYPES
from dc1.testing.daemon_script import DaemonScript, attempt_of, attempt_offered, lease
from dc1.testing.rest import Json
from dcp.v1 import daemon_stream_pb2 as pb
from dcp.v1 import report_pb2
from dcp.v1.provider_service_pb2_grpc import ProviderServiceStub

_PATIENCE_SECONDS = 8.0


class StreamDaemon:
    """A daemon with one gRPC stream, for a thread that waits. It says what it is told to and nothing of its own accord.

    Args:
        target: the edge's host and port.
        key: the provider's.
        report: the machine, as in a heartbeat; it can run every kind of job.
        instance_id: which process it is; daemons with the same are one that reconnects.

    Attributes:
        state: what every hello and beat says of the machine and of the leases it holds, true or not.
    """

    def __init__(self, target: str, key: str, report: Json, instance_id: str = "scripted") -> None:
        self.state = pb.DaemonState(report=_report(report), job_types=JOB_TYPES)
        self._script = DaemonScript(self.state, instance_id, reports_held=False)
        # None ends the stream from our side, as the iterator that gRPC reads stops there.
        self._outbox: queue.SimpleQueue[pb.ConnectRequest | None] = queue.SimpleQueue()
        self._inbox: queue.SimpleQueue[pb.ConnectResponse | grpc.RpcError | None] = queue.SimpleQueue()
        self._offers: deque[pb.Offer] = deque()
        # A connection of its own: gRPC shares one among channels to the same target, and what one daemon does to it all
        # would feel.
        options = [
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.enable_http_proxy", 0),
            ("grpc.max_receive_message_length", defaults.MAX_MESSAGE_BYTES),
        ]
        self._channel = grpc.insecure_channel(target, options=options)
        self._call = ProviderServiceStub(self._channel).Connect(
            iter(self._outbox.get, None), metadata=(("x-provider-key", key),)
        )
        # Taken off the wire also while the test waits for nothing, as a real daemon does.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        try:
            for message in self._call:
                for one in message.bundle.messages or [message]:
                    self._inbox.put(one)
        except grpc.RpcError as error:
            self._inbox.put(error)
        else:
            self._inbox.put(None)

    # Saying

    def send(self, **message: Any) -> None:
        """Send one message, named as in the protocol: `send(beat=…)`."""
        self._say(pb.ConnectRequest(**message))

    def _say(self, message: pb.ConnectRequest) -> None:
        self._outbox.put(message)

    def hello(self, *, take_over: bool = False) -> pb.Welcome:
        """Say who is there; return once that is welcomed."""
        self.say_hello(take_over=take_over)
        welcome: pb.Welcome = self.expect("welcome")
        return welcome

    def say_hello(self, *, take_over: bool = False) -> None:
        """Say who is there, and whether another daemon is to be replaced."""
        hello = self._script.hello()
        hello.hello.take_over = take_over
        self._say(hello)

    def beat(self) -> pb.Desired:
        """Send one beat, and return the desired state that answers it."""
        self._say(self._script.beat())
        while True:
            desired: pb.Desired = self.expect("desired")
            # Older ones may still be on their way, and tell of the state before this beat.
            if desired.sequence == self._script.sequence:
                return desired

    def accept(self, offer: pb.Offer) -> pb.Start:
        """Take an offer; return once the lease is committed."""
        self._say(self._script.accept(attempt_offered(offer)))
        start: pb.Start = self.expect("start")
        return start

    def send_tokens(self, lease: pb.LeaseRef, text: str, offset: int | None = None) -> None:
        """Send a piece of a run's text; `offset` is where in the whole it belongs."""
        self.send(tokens=pb.TokenBatch(lease=lease, text=text, count=1, offset=offset))

    def send_logs(self, lease: pb.LeaseRef, sequence: int, *lines: str) -> pb.LogReceipt:
        """Send one batch of lines; return once they are stored."""
        records = [pb.LogRecord(level=pb.LOG_LEVEL_INFO, message=line) for line in lines]
        self.send(logs=pb.LogBatch(lease=lease, sequence=sequence, lines=records))
        receipt: pb.LogReceipt = self.expect("log_receipt")
        return receipt

    def finish(self, lease: pb.LeaseRef, result: Json, **more: Any) -> pb.OutcomeReceipt:
        """End a run with a result; return once that is settled."""
        return self._outcome(lease, result=json_format.ParseDict(result, Value()), **more)

    def fail(
        self,
        lease: pb.LeaseRef,
        error: str,
        *,
        transient: bool = False,
        category: str = "",
        refused: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> pb.OutcomeReceipt:
        """End a run with an error, which an engine may have `refused` in numbers; return once that is settled."""
        failure = pb.Failure(error=error, transient=transient, category=category, **(refused or {}))
        return self._outcome(lease, failure=failure, **more)

    def _outcome(self, lease: pb.LeaseRef, **end: Any) -> pb.OutcomeReceipt:
        self._say(self._script.end(attempt_of(lease), pb.Outcome(**end)))
        receipt: pb.OutcomeReceipt = self.expect("outcome_receipt")
        return receipt

    # Hearing

    def expect(self, kind: str) -> Any:
        """Return the next message of this kind; others that come before it are passed over, but no offer is."""
        if kind == "offer" and self._offers:
            return self._offers.popleft()
        for message in self._until_deadline(kind):
            assert isinstance(message, pb.ConnectResponse), f"the stream ended before {kind}: {message}"
            self._script.hear(message)
            came = message.WhichOneof("message")
            if came == kind:
                return getattr(message, kind)
            # Offers come when a job does, and not when the test asks: kept, or one that arrived early would be missed.
            if came == "offer":
                self._offers.append(message.offer)
        raise AssertionError

    def ended(self) -> grpc.RpcError | None:
        """Return how the stream ended: None for OK."""
        for message in self._until_deadline("the end"):
            if not isinstance(message, pb.ConnectResponse):
                return message
        raise AssertionError

    def _until_deadline(self, what: str) -> Iterator[pb.ConnectResponse | grpc.RpcError | None]:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                yield self._inbox.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"{what} did not come in {_PATIENCE_SECONDS} s") from None

    def cut(self) -> None:
        """Break the stream off, as a daemon that dies does."""
        self._call.cancel()
        self.close()

    def close(self) -> None:
        """Say nothing more, and let go of the connection."""
        self._outbox.put(None)
        self._channel.close()
        self._reader.join(_PATIENCE_SECONDS)


def lease_of(offer: pb.Offer) -> pb.LeaseRef:
    """Return the lease that accepting an offer asks for."""
    return lease(attempt_offered(offer))


def _report(report: Json) -> report_pb2.HeartbeatRequest:
    return json_format.ParseDict(report, report_pb2.HeartbeatRequest())
