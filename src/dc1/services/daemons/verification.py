"""Whether a provider's machine is what it says."""

from typing import Any

from dc1.domain.base.clock import iso
from dc1.domain.providers.challenges import ITERATIONS, MATRIX_SIZE
from dc1.domain.providers.reports import read_report
from dc1.domain.providers.verification import Assessment
from dc1.services.api.call import caller_id
from dc1.services.api.parts import ServicerPart
from dc1.services.api.provider_access import calling_provider
from dc1.services.api.values import from_value
from dcp.v1 import daemon_service_pb2 as pb


class VerificationCalls(ServicerPart):
    """Verdicts on machines; they change nothing about a provider."""

    async def VerifyAutomatically(
        self, request: pb.VerifyAutomaticallyRequest, context: Any
    ) -> pb.VerifyAutomaticallyResponse:
        """Compare what a daemon says of its GPU with what it reported."""
        provider = await calling_provider(self._plane)
        # Read by the rules of a heartbeat, or names and numbers could not be compared with what a heartbeat left.
        said = read_report({"gpu_info": from_value(request.gpu_info)}).facts
        assessment = await self._plane.machine_reports.verify(provider, said)
        return pb.VerifyAutomaticallyResponse(**_fields(assessment))

    async def GetPendingChallenge(
        self, request: pb.GetPendingChallengeRequest, context: Any
    ) -> pb.GetPendingChallengeResponse:
        """Show what the caller has to solve."""
        challenge = await self._plane.machine_reports.pending_challenge(caller_id())
        if challenge is None:
            # 200 and not 404: daemons ask without knowing whether there is one (contract 8).
            return pb.GetPendingChallengeResponse(pending=False)
        return pb.GetPendingChallengeResponse(
            pending=True,
            challenge_id=challenge.challenge_id,
            matrix_size=MATRIX_SIZE,
            iterations=ITERATIONS,
            nonce=challenge.nonce,
            expires_at=iso(challenge.expires_at_ms),
        )

    async def SubmitChallenge(self, request: pb.SubmitChallengeRequest, context: Any) -> pb.SubmitChallengeResponse:
        """Take a solution."""
        elapsed_ms = request.elapsed_ms if request.HasField("elapsed_ms") else None
        assessment = await self._plane.machine_reports.solve(
            caller_id(), request.challenge_id, request.result_hash, elapsed_ms
        )
        return pb.SubmitChallengeResponse(**_fields(assessment))


def _fields(assessment: Assessment) -> dict[str, Any]:
    return {"verdict": assessment.verdict, "score": assessment.score, "flags": assessment.flags}
