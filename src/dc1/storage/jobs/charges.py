"""What a run is charged for: what was seen of it decides, and what its daemon says can only lower it."""

from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property

from sqlalchemy import Connection

from dc1.domain.base.json_types import JsonValue
from dc1.domain.inference.kinds import kind_of, needs_bodies
from dc1.domain.inference.usage import NOTHING_RELAYED, RelayedText, RunSaid, TokenUsage
from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.domain.jobs.faults import DEADLINE_SLACK_MS, Fault, Seen, fault_of_failure
from dc1.domain.jobs.states import (
    GENERATING_TYPES,
    PARTLY_LOST,
    SOMETHING_ELSE,
    Actor,
    ErrorCategory,
    JobSource,
    is_producing,
)
from dc1.domain.jobs.tasks.daemon_tasks import UNAVAILABLE_STATUS
from dc1.domain.money.machine_prices import UNIT_PRICE_BPS
from dc1.domain.money.pricing import Settlement, elapsed_seconds, settle, used_seconds
from dc1.storage.jobs import job_logs, jobs
from dc1.storage.jobs.job_records import JobRow, JobSpec, ordered


class Evidence:
    """What the server saw of a run, by which it is judged and charged; `relayed` is what it said of a /v1 answer.

    `gpu_failed_at_ms` is when a card of its machine failed or vanished last, and `spec` what was sent with the job,
    where that is known already.
    """

    def __init__(
        self,
        conn: Connection,
        job: JobRow,
        relayed: RelayedText = NOTHING_RELAYED,
        gpu_failed_at_ms: int | None = None,
        spec: JobSpec | None = None,
    ) -> None:
        self._spec = spec
        self.conn = conn
        self.job = job
        self.relayed = relayed
        self._gpu_failed_at_ms = gpu_failed_at_ms

    # Asked for at every step of a settlement, and looked up once: the row is locked, so nothing changes in between.
    @cached_property
    def has_worked(self) -> bool:
        """Whether anything came of the run: a phase beyond loading, a token, a service, a log line."""
        job = self.job
        # The line last, as it costs a query.
        return (
            job.working_since_ms is not None
            or is_producing(job.progress_phase)
            or self.relayed.tokens > 0
            or job.endpoint_url is not None
            or job_logs.has_printed(self.conn, job.id, job.attempt_number)
        )

    @cached_property
    def spec(self) -> JobSpec:
        """What was sent with the job."""
        return jobs.spec(self.conn, self.job.id) if self._spec is None else self._spec

    @cached_property
    def said(self) -> JsonValue:
        """What its renter said, or the body of a call: read once, for a conversation may be long."""
        said: JsonValue = self.spec.said
        return said

    @property
    def lost_gpu(self) -> bool:
        """Whether a card of its machine failed while it ran; which of several it had is not known."""
        started_ms, failed_ms = self.job.started_at_ms, self._gpu_failed_at_ms
        return failed_ms is not None and started_ms is not None and failed_ms >= started_ms

    @property
    def ran_our_program(self) -> bool:
        """Whether what ran was made by the market out of the order, so that its exit status says what we mean by it."""
        return ordered(self.job, self.spec).runs_our_program


def relayed_in(
    conn: Connection, row_id: int, said: Mapping[int, RelayedText], elsewhere: Mapping[int, RunSaid]
) -> RelayedText:
    """Return how much a run has said, through this server or another one, which is asked for its attempt by then."""
    here, there = said.get(row_id, NOTHING_RELAYED), elsewhere.get(row_id)
    if there is None or there.tokens <= here.tokens:
        return here
    return there.relayed_of(jobs.known(conn, row_id).attempt_number)


def judged(evidence: Evidence, report: AttemptReport, now_ms: int) -> Fault:
    """Return whose fault a reported failure is, by what was reported and by what the server saw of the run."""
    timeout_at_ms = evidence.job.timeout_at_ms
    assert timeout_at_ms is not None
    is_call = evidence.job.source is JobSource.V1
    seen = Seen(evidence.has_worked, now_ms >= timeout_at_ms - DEADLINE_SLACK_MS, is_call)
    return fault_of_failure(report.error_category, report.exit_code, report.actor, seen)


def examined(evidence: Evidence, report: AttemptReport) -> AttemptReport:
    """Return a report as it is taken: a success with nothing to show for it is none, and by its provider's fault.

    Nothing is what a generation hands back without text or image, and any other run that was never seen working either;
    as little is something else than what was ordered. A machine that cannot do this kind of work is no renter's fault.
    A /v1 call is paid by what was made, and one for several answers only if all of them came: its result has one. A run
    that failed when a card of its machine did was failed by that.
    """
    job = evidence.job
    if job.token_price_halala is not None:
        return report if _may_be_told_whole(evidence, report) else report.as_nothing(PARTLY_LOST)
    if evidence.lost_gpu and report.may_be_the_cards:
        return report.as_gpu_lost()
    if report.is_something_else(job.job_type, job.model):
        return report.as_nothing(SOMETHING_ELSE)
    if not report.completed and report.exit_code == UNAVAILABLE_STATUS and evidence.ran_our_program:
        return report.as_unavailable()
    if not report.hands_nothing_back:
        return report
    is_expected = job.job_type not in GENERATING_TYPES and evidence.has_worked
    return report if is_expected or evidence.relayed.tokens else report.as_nothing()


def _may_be_told_whole(evidence: Evidence, report: AttemptReport) -> bool:
    kind, relayed = kind_of(evidence.job.call_path), evidence.relayed
    judge = kind.answer_fault
    if not report.completed or report.actor is not Actor.PROVIDER or (relayed.is_whole and judge is None):
        return True
    said = evidence.said
    if judge is None or not isinstance(said, dict):
        return not isinstance(said, dict) or not needs_bodies(evidence.spec.inference_path, said)
    # The daemon has judged it too; by its word alone nobody pays.
    return relayed.is_whole and relayed.answer is not None and judge(said, relayed.answer) is None


def used(evidence: Evidence, report: AttemptReport, now_ms: int) -> Decimal:
    """Return the seconds that a run used: by the daemon's report, and by the server's clock at most."""
    is_refusal = not report.completed and report.error_category is ErrorCategory.INVALID_PARAMS
    if is_refusal and not evidence.has_worked:
        # Refused before it began, which nobody can see from outside: so it is worth nothing.
        return Decimal(0)
    if report.actor is not Actor.PROVIDER:
        return worked_seconds(evidence, now_ms)
    return used_seconds(_seconds_since_work(evidence.job, now_ms), report.gpu_seconds, report.duration_seconds)


def worked_seconds(evidence: Evidence, now_ms: int) -> Decimal:
    """Return the seconds that a run has worked by the server's clock; pulling and loading are free."""
    job = evidence.job
    is_preparing = job.progress_phase is not None and job.working_since_ms is None
    # A daemon that told of loading and of nothing else may work all the same, as its log shows.
    if is_preparing and not evidence.has_worked:
        return Decimal(0)
    return Decimal(_seconds_since_work(job, now_ms))


def _seconds_since_work(job: JobRow, now_ms: int) -> int:
    since_ms = job.started_at_ms if job.working_since_ms is None else job.working_since_ms
    assert since_ms is not None
    return elapsed_seconds(since_ms, now_ms)


def bill(job: JobRow, seconds: Decimal, usage: TokenUsage | None = None) -> Settlement:
    """Return what a run costs: a /v1 call by its tokens, another by the seconds used."""
    if (prices := job.token_prices) is None:
        # A run that began before machines had prices is billed as it was sold.
        price_bps = UNIT_PRICE_BPS if job.run_price_bps is None else job.run_price_bps
        terms = (job.cost_halala, job.rate_halala_per_minute, job.class_multiplier, job.fee_bps)
        return settle(*terms, seconds, price_bps)
    price_micro = 0 if usage is None else prices.price_micro(usage.prompt, usage.completion, usage.cached)
    return Settlement.of_tokens(job.cost_halala, price_micro, job.fee_bps)
