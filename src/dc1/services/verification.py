"""VerificationService: whether a provider's machine is what it says."""

from typing import Any

from dc1.control.challenges import ITERATIONS, MATRIX_SIZE, Challenges
from dc1.control.market import Market
from dc1.domain.clock import iso
from dc1.domain.reports import read_report
from dc1.domain.verification import Assessment, Verdict, assess, compare
from dc1.services.call import caller_id
from dc1.services.values import from_value
from dcp.v1 import verification_service_pb2 as pb
from dcp.v1.verification_service_pb2_grpc import VerificationServiceServicer


class VerificationServicer(VerificationServiceServicer):
    """Verdicts on machines; they change nothing about a provider."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._challenges = Challenges(market.clock)

    async def VerifyAutomatically(
        self, request: pb.VerifyAutomaticallyRequest, context: Any
    ) -> pb.VerifyAutomaticallyResponse:
        """Compare what a daemon says of its GPU with what it reported."""
        provider = await self._market.provider(caller_id())
        said = read_report({"gpu_info": from_value(request.gpu_info)}).facts
        assessment = assess(compare(provider.facts, said))
        if assessment.verdict is not Verdict.VERIFIED:
            self._challenges.give(provider.id)
        return pb.VerifyAutomaticallyResponse(**_fields(assessment))

    async def GetPendingChallenge(
        self, request: pb.GetPendingChallengeRequest, context: Any
    ) -> pb.GetPendingChallengeResponse:
        """Show what the caller has to solve."""
        challenge = self._challenges.fetch(caller_id())
        if challenge is None:
            return pb.GetPendingChallengeResponse(pending=False)
        return pb.GetPendingChallengeResponse(
            pending=True,
            challenge_id=challenge.id,
            matrix_size=MATRIX_SIZE,
            iterations=ITERATIONS,
            nonce=challenge.nonce,
            expires_at=iso(challenge.expires_at_ms),
        )

    async def SubmitChallenge(self, request: pb.SubmitChallengeRequest, context: Any) -> pb.SubmitChallengeResponse:
        """Take a solution."""
        elapsed_ms = request.elapsed_ms if request.HasField("elapsed_ms") else None
        flags = self._challenges.solve(caller_id(), request.challenge_id, request.result_hash, elapsed_ms)
        return pb.SubmitChallengeResponse(**_fields(assess(flags)))


def _fields(assessment: Assessment) -> dict[str, Any]:
    return {"verdict": assessment.verdict, "score": assessment.score, "flags": assessment.flags}
