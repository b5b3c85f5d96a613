"""A renter's newest jobs with what they made."""

from typing import Any

from google.protobuf.json_format import ParseDict

from dc1.control.fleet.provider import Provider
from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.jobs.results import ResultType, response_text, result_type
from dc1.domain.jobs.states import JobStatus
from dc1.domain.money.pricing import sar_text
from dc1.services.api.call import caller_id
from dc1.services.api.parts import ServicerPart
from dc1.services.jobs.access import provider_of_job
from dc1.services.jobs.messages import current_cost
from dc1.services.jobs.output import common_fields, output_billing, type_name
from dc1.storage.accounts import renters
from dc1.storage.accounts.renters import RenterRow
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import jobs
from dc1.storage.jobs.job_records import JobRow
from dc1.storage.jobs.jobs import JobFilter
from dcp.v1 import job_lists_pb2 as pb

_MOST_JOBS = 100
# A hundred results of up to 10 MiB each are no list. Larger ones are null here and whole in the job's output.
_LARGEST_RESULT = 64 * 1024


class JobHistoryCalls(ServicerPart):
    """The history of the caller's jobs."""

    async def ListJobHistory(self, request: pb.ListJobHistoryRequest, context: Any) -> pb.ListJobHistoryResponse:
        """Show the caller's newest jobs and the wallet."""
        renter_id, limit = caller_id(), min(request.limit or 20, _MOST_JOBS)

        def read_newest(conn: Connection) -> tuple[list[JobRow], dict[int, Any], RenterRow]:
            rows = jobs.latest(conn, JobFilter(renter_id=renter_id), limit=limit)
            results = jobs.results(conn, [job.id for job in rows], max_characters=_LARGEST_RESULT)
            renter = renters.get(conn, renter_id)
            assert renter is not None
            return rows, results, renter

        rows, results, renter = await self._plane.db.read_history(read_newest)
        now_ms = self._plane.clock.now_ms()
        return pb.ListJobHistoryResponse(
            jobs=[_history_entry(job, provider_of_job(self._plane, job), results.get(job.id), now_ms) for job in rows],
            balance_halala=renter.balance_halala,
            balance_sar=sar_text(renter.balance_halala),
            total_jobs=renter.total_jobs,
        )


def _history_entry(job: JobRow, provider: Provider | None, result: JsonValue, now_ms: int) -> pb.JobHistoryEntry:
    # The quote while nothing is settled: a number in every row (contract 8), where the job itself has null.
    cost, refunded = current_cost(job), job.refunded_halala or 0
    shown: JsonObject = common_fields(job, provider, now_ms) | _result_fields(result)
    shown |= {
        "provider_gpu": None if provider is None else provider.gpu_model,
        "actual_cost_halala": cost,
        "cost_sar": sar_text(cost),
        "refunded": refunded > 0,
        "refunded_halala": refunded,
    }
    if job.status == JobStatus.COMPLETED:
        shown["billing"] = output_billing(job)
    # The fields are those of the output, so that both say the same; an entry has some fewer, which fall away.
    return ParseDict(shown, pb.JobHistoryEntry(), ignore_unknown_fields=True)


def _result_fields(result: JsonValue) -> JsonObject:
    kind = None if result is None else result_type(result)
    text = response_text(result) if kind is ResultType.TEXT else None
    return {
        "result": result,
        "result_type": None if kind is None else type_name(kind),
        "type": None if kind in (None, ResultType.OTHER) else kind,
        "response": text,
        "output": text,
    }
