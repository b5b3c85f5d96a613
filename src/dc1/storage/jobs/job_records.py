"""A job and its documents, as the code above storage sees them."""

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dc1.domain.access.provider_choice import ProviderChoice
from dc1.domain.jobs.faults import Fault
from dc1.domain.jobs.placement import Requirement, Room, TaskObstacle
from dc1.domain.jobs.states import TERMINAL, ComputeType, ErrorCategory, JobSource, JobStatus, JobType, Phase
from dc1.domain.jobs.tasks.daemon_tasks import Ordered, time_obstacle
from dc1.domain.money.pricing import PricingClass
from dc1.domain.money.token_prices import TokenPrices
from dc1.storage.engine.row_mapping import Shape
from dc1.storage.schema.tables import job_specs, jobs


@dataclass(frozen=True, slots=True)
class JobSpec:
    """The documents of a job as they were sent, the container spec with its defaults; they never change.

    A call under /v1 has a body, the text of its JSON, and the path of an engine's API that it is for, in place of
    params.
    """

    container_spec: dict[str, Any]
    params: Any = None
    task_spec: Any = None
    env_vars: dict[str, str] | None = None
    gpu_requirements: dict[str, Any] | None = None
    inference_path: str | None = None
    inference_body: str | None = None

    @property
    def said(self) -> Any:
        """What the renter sent to say what is wanted: params, or the body of a call."""
        return self.params if self.inference_body is None else json.loads(self.inference_body)


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job without its documents.

    `provider_id` is who holds the lease now or held the last one, None while queued; `named_provider_id` is a
    condition of the renter, `last_provider_id` whoever lost the job last, `lost_by` everybody who lost it (None for
    nobody) and `excluded_provider_id` who must not get it again. `due_at_ms` is the deadline that applies now, and
    `working_since_ms` when the run was first seen past loading. Amounts are in halala; the ones of the settlement are
    None until the job is terminal. `hold_price_bps` is what the job takes of the price of the dearest machine
    it may land on, `run_price_bps` of the one that has it or had it last. `is_scriptable` is set where it can be a task
    of a daemon that runs scripts alone. `call_path` is the path of an engine's API that a /v1 call is for, None of a
    chat of before there were others, and `needs_bodies` set where its answer is only what the engine says. `carried_*`
    are what it added to the remainders of its renter and provider.
    """

    id: int
    job_id: str
    renter_id: int
    scoped_key_id: str | None
    source: JobSource
    job_type: JobType
    model: str | None
    status: JobStatus
    retried_from_job_id: int | None
    named_provider_id: int | None
    provider_choice: dict[str, Any] | None
    provider_id: int | None
    last_provider_id: int | None
    excluded_provider_id: int | None
    lost_by: list[int] | None
    gpu_count: int
    min_vram_gb: float | None
    gpu_type: str | None
    needs_gpu: bool
    compute_type: ComputeType
    prewarm_requested: bool
    checkpoint_enabled: bool
    pricing_class: PricingClass
    class_rank: int
    priority: int
    duration_minutes: Decimal | None
    max_duration_seconds: int
    run_deadline_seconds: int
    rate_halala_per_minute: int
    class_multiplier: Decimal
    hold_price_bps: int | None
    run_price_bps: int | None
    max_rate_halala_per_minute: Decimal | None
    prefers_price: bool
    is_scriptable: bool
    call_path: str | None
    needs_bodies: bool
    token_price_halala: int | None
    completion_price_halala: int | None
    cached_price_halala: int | None
    fee_bps: int
    cost_halala: int
    promo_held_halala: int
    promo_earned_halala: int | None
    submitted_at_ms: int
    queue_deadline_at_ms: int | None
    started_at_ms: int | None
    timeout_at_ms: int | None
    due_at_ms: int | None
    completed_at_ms: int | None
    progress_phase: Phase | None
    progress_updated_at_ms: int | None
    working_since_ms: int | None
    attempt_number: int
    retry_count: int
    max_retries: int
    retry_reason: str | None
    event_sequence: int
    endpoint_url: str | None
    used_seconds: Decimal | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None
    actual_cost_halala: int | None
    provider_earned_halala: int | None
    dc1_fee_halala: int | None
    refunded_halala: int | None
    refunded_at_ms: int | None
    carried_price_micro_halala: int | None
    carried_share_micro_halala: int | None
    carried_promo_share_micro_halala: int | None
    advance_halala: int | None
    error: str | None
    error_category: ErrorCategory | None
    fault: Fault | None
    engine_refusal: dict[str, Any] | None
    gpu_conditions: dict[str, Any] | None
    documents_erased_at_ms: int | None

    @property
    def losers(self) -> frozenset[int]:
        """Who lost it, and gets it again only when no other fits."""
        return frozenset(self.lost_by or ())

    @property
    def token_prices(self) -> TokenPrices | None:
        """What its tokens cost; None for a job that is paid by time."""
        if self.token_price_halala is None:
            return None
        return TokenPrices.of(self.token_price_halala, self.completion_price_halala, self.cached_price_halala)

    @property
    def earned_halala(self) -> int:
        """What the provider was paid when the job was settled; 0 until then."""
        return (self.provider_earned_halala or 0) + (self.advance_halala or 0)

    @property
    def is_terminal(self) -> bool:
        """Whether no move is left."""
        return self.status in TERMINAL

    @property
    def room(self) -> Room:
        """What it takes of a machine."""
        return Room.of(self.source, self.gpu_count)

    @property
    def requirement(self) -> Requirement:
        """What the job asks of a provider."""
        # The model is kept as the renter spelled it, for answers; daemons spell as they like, so matching ignores case.
        hold = self.hold_price_bps
        # Whoever names a machine pays what was quoted for it, whatever its owner asks by now.
        return Requirement(
            named_provider_id=self.named_provider_id,
            model=self.model.lower() if self.model else None,
            min_vram_gb=self.min_vram_gb,
            gpu_type=self.gpu_type,
            compute_type=self.compute_type,
            gpu_count=self.gpu_count,
            job_type=self.job_type,
            excluded_provider_id=self.excluded_provider_id,
            at_once=self.source is JobSource.V1,
            needs_bodies=self.needs_bodies,
            path=self.call_path,
            max_price_bps=None if hold is None or self.named_provider_id is not None else hold // self.gpu_count,
            prefers_price=self.prefers_price,
            needs_gpu=self.needs_gpu,
            task_obstacle=time_obstacle(self.run_deadline_seconds) if self.is_scriptable else TaskObstacle.NO_SCRIPT,
            handed_to=frozenset(self.lost_by or ()),
            choice=ProviderChoice.stored(self.provider_choice),
        )


def ordered(job: JobRow, spec: JobSpec) -> Ordered:
    """Return what a stored job says of what is to be run."""
    return Ordered(job.job_type, job.model, spec.container_spec, spec.params, spec.task_spec, spec.env_vars or {})


job_shape = Shape(JobRow, jobs)
spec_shape = Shape(JobSpec, job_specs)
