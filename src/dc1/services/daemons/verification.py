"""Whether a provider's machine is what it says: the probe for daemons that poll, and what is known of it."""

from typing import Any

from dc1.control.fleet.provider import Provider
from dc1.control.probing.channels import Challenge
from dc1.control.probing.machine_probe import longest_seconds
from dc1.control.scheduling.probe_messages import Begin, End
from dc1.domain.base.clock import iso
from dc1.domain.providers.reports import read_report
from dc1.domain.providers.verification import Assessment, Evidence, Flag, assess, compare
from dc1.services.api.call import caller_id, current_call
from dc1.services.api.parts import ServicerPart
from dc1.services.api.provider_access import calling_provider
from dc1.services.api.values import from_value
from dc1.services.daemons.probe_messages import probe_message, probe_said
from dcp.v1 import daemon_service_pb2 as pb
from dcp.v1.daemon_stream_pb2 import ConnectRequest

_ANSWERS = ("ready", "roots", "leaves", "failure")


class VerificationCalls(ServicerPart):
    """Verdicts on machines, and the probes of those whose daemons poll."""

    async def VerifyAutomatically(
        self, request: pb.VerifyAutomaticallyRequest, context: Any
    ) -> pb.VerifyAutomaticallyResponse:
        """Compare what a daemon says of its GPU with what it reported and what was proved."""
        provider = await calling_provider(self._plane)
        # Read by the rules of a heartbeat, or names and numbers could not be compared with what a heartbeat left.
        said = read_report({"gpu_info": from_value(request.gpu_info)}).facts
        flags = (*compare(provider.facts, said), *_evidence(provider).flags)
        return pb.VerifyAutomaticallyResponse(**_fields(assess(*flags)))

    async def GetPendingChallenge(
        self, request: pb.GetPendingChallengeRequest, context: Any
    ) -> pb.GetPendingChallengeResponse:
        """Show what the caller is asked; whoever never says that it can answer is asked nothing."""
        # 200 and not 404: daemons ask without knowing whether there is one (contract 8).
        nothing = pb.GetPendingChallengeResponse(pending=False)
        if not request.probe:
            return nothing
        provider = await calling_provider(self._plane)
        challenge = await self._plane.prober.challenge(provider, current_call().address, request.challenge_id)
        return nothing if challenge is None else self._shown(challenge)

    async def SubmitChallenge(self, request: pb.SubmitChallengeRequest, context: Any) -> pb.SubmitChallengeResponse:
        """Take an answer."""
        given = [(field.name, value) for field, value in request.ListFields() if field.name in _ANSWERS]
        if len(given) != 1:
            return pb.SubmitChallengeResponse(**_fields(assess(Flag.MALFORMED_RESULT)))
        [(name, answer)] = given
        # As on the stream, where the answer says itself which probe it is of; here the challenge does.
        _, said = probe_said(ConnectRequest(**{f"probe_{name}": answer}))
        address = current_call().address
        challenge = await self._plane.prober.answer(caller_id(), address, request.challenge_id, said)
        if challenge is None:
            return pb.SubmitChallengeResponse(**_fields(assess(Flag.UNKNOWN_CHALLENGE)))
        # What is known now: the answer may have been the last.
        evidence = _evidence(await calling_provider(self._plane))
        following = None if challenge.message is None else self._shown(challenge)
        return pb.SubmitChallengeResponse(**_fields(assess(*evidence.flags)), next=following)

    def _shown(self, challenge: Challenge) -> pb.GetPendingChallengeResponse:
        message = challenge.message
        is_over = isinstance(message, End)
        shown = pb.GetPendingChallengeResponse(pending=not is_over, challenge_id=challenge.probe_id)
        if message is None:
            return shown
        shown.expires_at = iso(self._plane.clock.now_ms() + round(1000 * longest_seconds(message)))
        carried = probe_message(message)
        kind = str(carried.WhichOneof("message"))
        getattr(shown, kind.removeprefix("probe_")).CopyFrom(getattr(carried, kind))
        if isinstance(message, Begin):
            # As daemons of before know a challenge.
            shown.matrix_size, shown.iterations = message.of.rows, message.of.steps
            shown.nonce = message.seed.hex()
        return shown


def _evidence(provider: Provider) -> Evidence:
    return Evidence(provider.measured is not None, provider.performance, provider.mismatch is not None)


def _fields(assessment: Assessment) -> dict[str, Any]:
    return {"verdict": assessment.verdict, "score": assessment.score, "flags": assessment.flags}
