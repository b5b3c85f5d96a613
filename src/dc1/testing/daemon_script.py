"""What a daemon on the stream remembers and says, without a wire.

One script serves every carrier: a thread with a connection of its own (`dc1.testing.stream_daemon`), an event loop that
holds thousands of streams, or the inbox of a server in the same process.
"""

from google.protobuf.struct_pb2 import Value

from dcp.v1 import daemon_stream_pb2 as pb

Attempt = tuple[str, int]
"""One attempt at one job: the job's public id and the attempt's number."""


class DaemonScript:
    """A daemon's memory, and the messages that follow from it.

    It holds what was committed to it until that ends, is to stop or is forgotten, and keeps every outcome that has no
    receipt yet. Methods return messages and send none: when and how they travel is the carrier's business.

    Args:
        state: the machine, as every hello and beat reports it.
        instance_id: what the daemon calls itself.
        reports_held: whether its reports name the leases that it holds, as a real daemon's do. Without, they say what
            `state` says, for a script that says something else than the truth.
    """

    def __init__(self, state: pb.DaemonState, instance_id: str = "scripted", *, reports_held: bool = True) -> None:
        self.state = state
        self.offered: list[Attempt] = []
        self.held: dict[Attempt, pb.LeasePhase.ValueType] = {}
        self.settled: list[Attempt] = []
        self.sequence = 0
        self._instance_id = instance_id
        self._reports_held = reports_held
        self._unconfirmed: dict[Attempt, pb.Outcome] = {}

    # What it says

    def hello(self) -> pb.ConnectRequest:
        """Return the first message of a stream."""
        return pb.ConnectRequest(hello=pb.Hello(instance_id=self._instance_id, state=self._report()))

    def beat(self, *, draining: bool = False) -> pb.ConnectRequest:
        """Return the next beat; its number is `sequence` from now on."""
        self.sequence += 1
        return pb.ConnectRequest(beat=pb.Beat(sequence=self.sequence, state=self._report(draining)))

    def accept(self, attempt: Attempt) -> pb.ConnectRequest:
        """Take an offer, which may be long gone; a lease that is held already keeps its phase."""
        # Before its Start, as a real daemon does: a beat in between that did not list it would count against the lease.
        self.held.setdefault(attempt, pb.LEASE_PHASE_ACCEPTED)
        return pb.ConnectRequest(accept=pb.Accept(lease=lease(attempt)))

    def decline(self, attempt: Attempt, reason: str = "not today") -> pb.ConnectRequest:
        """Refuse an offer."""
        self.offered.remove(attempt)
        return pb.ConnectRequest(decline=pb.Decline(lease=lease(attempt), reason=reason))

    def end(self, attempt: Attempt, outcome: pb.Outcome) -> pb.ConnectRequest:
        """End a run. Its outcome is repeated on every new stream until the server has confirmed it."""
        outcome.lease.CopyFrom(lease(attempt))
        # Held on until the receipt: a lease that is not listed counts as lost, and the job would be run again.
        self.held[attempt] = pb.LEASE_PHASE_ENDED
        self._unconfirmed[attempt] = outcome
        return pb.ConnectRequest(outcome=outcome)

    def complete(self, attempt: Attempt, text: str = "done") -> pb.ConnectRequest:
        """End a run with a text."""
        return self.end(attempt, pb.Outcome(result=Value(string_value=text)))

    def repetitions(self) -> list[pb.ConnectRequest]:
        """Return what a new stream is told after its hello: every outcome that has no receipt."""
        return [pb.ConnectRequest(outcome=outcome) for outcome in self._unconfirmed.values()]

    def _report(self, draining: bool = False) -> pb.DaemonState:
        # Made once for thousands that share a loop, as long as it says all there is.
        if not self._reports_held or not (self.held or draining):
            return self.state
        leases = [pb.HeldLease(lease=lease(attempt), phase=phase) for attempt, phase in self.held.items()]
        report = pb.DaemonState(leases=leases, draining=draining)
        # A merge appends to lists: leases that `state` lists are reported beside those that are held.
        report.MergeFrom(self.state)
        return report

    # What it hears

    def hear(self, message: pb.ConnectResponse) -> None:
        """Follow a message of the server."""
        match message.WhichOneof("message"):
            case "offer":
                self.offered.append(attempt_offered(message.offer))
            case "start":
                self.held[attempt_of(message.start.lease)] = pb.LEASE_PHASE_RUNNING
            case "stop":
                self._drop(attempt_of(message.stop.lease))
            case "welcome":
                self._want(message.welcome.desired)
            case "desired":
                self._want(message.desired)
            case "outcome_receipt":
                self._confirm(message.outcome_receipt)
            case _:
                pass

    def _want(self, desired: pb.Desired) -> None:
        # Replaced and not added to: Desired has every offer that stands, so one that was withdrawn vanishes here.
        self.offered = [attempt_offered(offer) for offer in desired.offers]
        self.offered += [attempt_of(named) for named in desired.offered]
        for stop in desired.stops:
            self._drop(attempt_of(stop.lease))
        for start in desired.starts:
            attempt = attempt_of(start.lease)
            # Desired repeats every start, also of what has ended here since.
            if self.held.get(attempt) == pb.LEASE_PHASE_ACCEPTED:
                self.held[attempt] = pb.LEASE_PHASE_RUNNING

    def _confirm(self, receipt: pb.OutcomeReceipt) -> None:
        attempt = attempt_of(receipt.lease)
        self._drop(attempt)
        # Whatever the verdict, the daemon forgets the lease; only this one means that its outcome counts.
        if receipt.verdict == pb.OUTCOME_VERDICT_SETTLED:
            self.settled.append(attempt)

    def _drop(self, attempt: Attempt) -> None:
        self.held.pop(attempt, None)
        self._unconfirmed.pop(attempt, None)

    def forget(self) -> None:
        """Lose all memory, as a daemon that crashes."""
        self.offered.clear()
        self.held.clear()
        self._unconfirmed.clear()


def lease(attempt: Attempt) -> pb.LeaseRef:
    """Name an attempt as messages do."""
    return pb.LeaseRef(job_id=attempt[0], attempt_number=attempt[1])


def attempt_of(named: pb.LeaseRef) -> Attempt:
    """Return the attempt that a message names."""
    return named.job_id, named.attempt_number


def attempt_offered(offer: pb.Offer) -> Attempt:
    """Return the attempt that an offer is about."""
    return offer.assignment.job_id, offer.assignment.attempt_number
