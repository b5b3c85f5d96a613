"""Placement decides which provider gets which job."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, Self

from dc1.domain.access.provider_choice import ANY_PROVIDER, ProviderChoice
from dc1.domain.base.json_types import JsonObject
from dc1.domain.base.numeric import as_integer, as_number, plain
from dc1.domain.jobs.states import COMPUTE_TYPES, ComputeType, JobSource
from dc1.domain.money.machine_prices import UNIT_PRICE_BPS
from dc1.domain.providers.hardware import canonical_gpu_type, is_of_gpu_type, requested_gpu_type
from dc1.domain.providers.liveness import Approval, ProviderStatus
from dc1.domain.providers.liveness import bookable as is_bookable
from dc1.domain.providers.model_abilities import CHAT_PATHS, ServedPaths
from dc1.domain.providers.preferences import Reluctance

REPUTATION_SLACK = 5
"""Points of reputation that make no difference: whoever is a little below the best is not kept from work by it."""


class Admission(StrEnum):
    """Why a provider that asks for work gets some or none."""

    ADMISSION_OK = "ADMISSION_OK"
    NO_PENDING_JOBS = "NO_PENDING_JOBS"
    PROVIDER_BUSY = "PROVIDER_BUSY"
    PROVIDER_PAUSED = "PROVIDER_PAUSED"
    PROVIDER_SUSPENDED = "PROVIDER_SUSPENDED"
    PROVIDER_NOT_APPROVED = "PROVIDER_NOT_APPROVED"
    PROVIDER_OFFLINE = "PROVIDER_OFFLINE"
    INSUFFICIENT_VRAM = "INSUFFICIENT_VRAM"
    INSUFFICIENT_GPU_COUNT = "INSUFFICIENT_GPU_COUNT"
    GPU_TYPE_MISMATCH = "GPU_TYPE_MISMATCH"
    COMPUTE_TYPE_UNSUPPORTED = "COMPUTE_TYPE_UNSUPPORTED"
    MODEL_UNSUPPORTED_ON_PROVIDER = "MODEL_UNSUPPORTED_ON_PROVIDER"
    PRICE_ABOVE_HOLD = "PRICE_ABOVE_HOLD"
    NO_ELIGIBLE_JOB_FOR_PROVIDER = "NO_ELIGIBLE_JOB_FOR_PROVIDER"


class Room(NamedTuple):
    """What a job takes of a machine: GPUs, or one of the calls that its engine takes at once."""

    gpus: int
    calls: int = 0

    @classmethod
    def of(cls, source: JobSource, gpu_count: int) -> Self:
        """Return what a job takes that came from there."""
        return cls(0, 1) if source is JobSource.V1 else cls(gpu_count)


class Speed(StrEnum):
    """What of an engine's speed a call prefers, as the server measured it."""

    LATENCY = "latency"
    THROUGHPUT = "throughput"


class TaskObstacle(StrEnum):
    """Why an order cannot be given to a daemon that runs scripts alone."""

    NO_SCRIPT = "no_script"
    TOO_LONG = "too_long"


@dataclass(frozen=True, slots=True)
class ProviderView:
    """What placement needs to know of a provider.

    `slots` is the number of GPUs (at least 1) and `occupied` how many of them pending and running jobs hold. `has_gpu`
    is set where a daemon reported a GPU; a claim is none, and `below_model` where it was measured to do
    less than its model. `vram_mib` is the VRAM of one GPU, None when unknown.
    `gpu_type` is canonical, None when the card is none of the market's types, and `gpu_model` its reported name.
    `models` are the offered models in lower case; empty means that any may run. `job_types` are the types that the
    daemon has a runner for, None when it did not say. `streaming` is set while the daemon is on the stream and not
    about to leave, `scripted` where it polls and runs scripts alone. `only_named` is set where jobs must name the
    provider, and `reluctance` says why the owner's preferences keep new work away now. `price_bps` is what one GPU
    costs, in ten-thousandths of the rate of a kind of work. `call_slots` is how many /v1 calls the engine takes beside
    all that, of which it has `calls`; with 0 each takes a slot. `carries_bodies` is set where the daemon passes on what
    its engine says as it is, and not the text of one answer alone. `paths` says what can be asked of each model.
    """

    id: int
    approval: Approval
    status: ProviderStatus
    slots: int = 1
    occupied: int = 0
    has_gpu: bool = True
    below_model: bool = False
    vram_mib: int | None = None
    gpu_type: str | None = None
    gpu_model: str | None = None
    compute_types: frozenset[str] = frozenset(COMPUTE_TYPES)
    models: frozenset[str] = frozenset()
    job_types: frozenset[str] | None = None
    reputation: int = 0
    streaming: bool = False
    scripted: bool = False
    only_named: bool = False
    reluctance: Reluctance | None = None
    price_bps: int = UNIT_PRICE_BPS
    call_slots: int = 0
    calls: int = 0
    carries_bodies: bool = False
    paths: ServedPaths = CHAT_PATHS

    @property
    def for_calls(self) -> Self:
        """The provider as a /v1 call finds it: by the calls that its engine takes at once, where it says how many.

        A call is paid by its tokens, so that the machine's own price is no matter.
        """
        if not self.call_slots:
            return self
        return replace(self, slots=self.call_slots, occupied=self.calls, call_slots=0, price_bps=UNIT_PRICE_BPS)

    @property
    def bookable(self) -> bool:
        """Whether the provider may be given work."""
        return is_bookable(self.approval, self.status)

    @property
    def share(self) -> float:
        """How much of it is in use."""
        return self.occupied / self.slots

    @property
    def takes_new_work(self) -> bool:
        """Whether the provider may be given work now, as far as its preferences go too."""
        return self.bookable and self.reluctance is None


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a job asks of a provider; equal requirements fit the same providers.

    `model` is in lower case and `gpu_type` canonical; `needs_gpu` is set where CUDA is named, or anything else that
    only a GPU has and that is no condition of its own; `job_type` None needs no runner. `excluded_provider_id` is who
    must not get it any more, and a machine whose GPU costs more than `max_price_bps` does not fit. With `prefers_price`
    the cheapest is taken before the best. `at_once` is set for a /v1 call, which takes a daemon on the stream that
    offers its model by name with the `path` of the engine's API, and `needs_bodies` for one whose answer is only what
    its engine said. `task_obstacle` keeps a job from
    daemons that run scripts alone, and so does having been handed it before, as those in `handed_to` were: such a
    daemon drops a job whose id it knows. A call never goes to one of them again: its caller waits, and they failed it a
    moment ago. `choice` is what the renter says of providers; of those, a call has `order` asked first, and the fastest
    by `speed` before the best.
    """

    named_provider_id: int | None = None
    model: str | None = None
    min_vram_gb: float | None = None
    gpu_type: str | None = None
    compute_type: ComputeType = ComputeType.INFERENCE
    gpu_count: int = 1
    job_type: str | None = None
    excluded_provider_id: int | None = None
    at_once: bool = False
    needs_bodies: bool = False
    path: str | None = None
    max_price_bps: int | None = None
    prefers_price: bool = False
    needs_gpu: bool = False
    task_obstacle: TaskObstacle | None = None
    handed_to: frozenset[int] = frozenset()
    choice: ProviderChoice = ANY_PROVIDER
    order: tuple[int, ...] = ()
    speed: Speed | None = None

    @property
    def candidates(self) -> Collection[int] | None:
        """The only providers that may get it, None for no such list: a few, to be looked at one by one."""
        return self.choice.only if self.named_provider_id is None else (self.named_provider_id,)

    @property
    def room(self) -> Room:
        """What it takes of a machine."""
        return Room(0, 1) if self.at_once else Room(self.gpu_count)

    @property
    def names_gpu(self) -> bool:
        """Whether it says anything that only a machine with a GPU can meet."""
        return self.needs_gpu or self.gpu_type is not None or self.min_vram_gb is not None

    def only_of(self, provider_ids: Iterable[int]) -> Self:
        """Return what is asked of these alone, as far as they may have it."""
        return replace(self, choice=self.choice.within(ProviderChoice(frozenset(provider_ids))))

    def passes_over(self, view: ProviderView) -> bool:
        """Tell whether one machine must not get the job, though others like it may."""
        had_it = (view.scripted or self.at_once) and view.id in self.handed_to
        return had_it or view.id == self.excluded_provider_id or not self.choice.allows(view.id)

    @classmethod
    def of_order(
        cls,
        job_type: str,
        model: str | None,
        container_spec: JsonObject,
        gpu_requirements: JsonObject | None,
        named_provider_id: int | None,
    ) -> Self:
        """Return what an order asks of a provider; both objects are its effective ones."""
        required = gpu_requirements or {}
        vram_mb = as_number(container_spec.get("vram_required_mb")) or Decimal(0)
        # Whole GB on either side: a card that reports 24564 MiB has the 24 GB that an order asks for.
        min_vram = max(as_number(required.get("min_vram_gb")) or Decimal(0), Decimal(vram_gb(int(vram_mb))))
        gpu_type = required.get("gpu_type")
        return cls(
            named_provider_id=named_provider_id,
            model=model.lower() if model else None,
            min_vram_gb=plain(min_vram) if min_vram > 0 else None,
            gpu_type=_wanted_type(gpu_type) if isinstance(gpu_type, str) else None,
            compute_type=ComputeType(str(container_spec["compute_type"])),
            gpu_count=as_integer(container_spec["gpu_count"]) or 1,
            job_type=job_type,
        )


def _wanted_type(name: str) -> str | None:
    # One that the market does not know was refused before; here whatever is named is a condition.
    return requested_gpu_type(name) or canonical_gpu_type(name)


def vram_gb(mib: int) -> int:
    """Return an amount of VRAM in whole GB, rounded half up."""
    return (mib + 512) // 1024


def availability_obstacle(view: ProviderView) -> Admission | None:
    """Return why a provider is given no work at all, or None when it has a free slot."""
    # The first that applies is told: from what only an admin can change to what passes by itself.
    if view.status is ProviderStatus.SUSPENDED:
        return Admission.PROVIDER_SUSPENDED
    if view.approval is not Approval.APPROVED:
        return Admission.PROVIDER_NOT_APPROVED
    if view.status is ProviderStatus.PAUSED:
        return Admission.PROVIDER_PAUSED
    if not view.bookable:
        return Admission.PROVIDER_OFFLINE
    if view.reluctance is Reluctance.OFF_SCHEDULE:
        return Admission.PROVIDER_PAUSED
    if view.reluctance is not None:
        return Admission.PROVIDER_BUSY
    return Admission.PROVIDER_BUSY if view.occupied >= view.slots else None


def has_vram(view: ProviderView, requirement: Requirement) -> bool:
    """Tell whether the VRAM is enough; unknown VRAM of a GPU is, and no VRAM at all is not."""
    if requirement.min_vram_gb is None:
        return True
    if view.vram_mib is None or not view.has_gpu:
        return view.has_gpu
    # In whole GB, for drivers report somewhat less than is printed on the card.
    return vram_gb(view.vram_mib) >= requirement.min_vram_gb


def has_gpu_type(view: ProviderView, requirement: Requirement) -> bool:
    """Tell whether there is a GPU where one is required, and of the required type."""
    if requirement.names_gpu and not view.has_gpu:
        return False
    return requirement.gpu_type is None or is_of_gpu_type(view.gpu_type, requirement.gpu_type)


def serves_model(view: ProviderView, requirement: Requirement) -> bool:
    """Tell whether the provider offers the model, or may run any."""
    # Whoever waits for an answer cannot wait for a model to be fetched.
    if requirement.at_once:
        return requirement.model in view.models and has_path(view, requirement)
    return requirement.model is None or not view.models or requirement.model in view.models


def has_path(view: ProviderView, requirement: Requirement) -> bool:
    """Tell whether the provider's engine takes calls of such a path for the model."""
    return requirement.path is None or view.paths.has(requirement.model or "", requirement.path)


def has_runner(view: ProviderView, requirement: Requirement) -> bool:
    """Tell whether the daemon can run this type of job, as far as it said."""
    return view.job_types is None or requirement.job_type is None or requirement.job_type in view.job_types


def capability_obstacle(view: ProviderView, requirement: Requirement) -> Admission | None:
    """Return what keeps a job from ever running on this provider as it is equipped, or None."""
    if requirement.named_provider_id not in (None, view.id) or requirement.passes_over(view):
        return Admission.NO_ELIGIBLE_JOB_FOR_PROVIDER
    if view.only_named and requirement.named_provider_id is None:
        return Admission.NO_ELIGIBLE_JOB_FOR_PROVIDER
    if requirement.at_once and not (view.streaming and (view.carries_bodies or not requirement.needs_bodies)):
        return Admission.NO_ELIGIBLE_JOB_FOR_PROVIDER
    if view.scripted and requirement.task_obstacle is not None:
        return Admission.NO_ELIGIBLE_JOB_FOR_PROVIDER
    if requirement.gpu_count > view.slots:
        return Admission.INSUFFICIENT_GPU_COUNT
    if not has_vram(view, requirement):
        return Admission.INSUFFICIENT_VRAM
    if not has_gpu_type(view, requirement):
        return Admission.GPU_TYPE_MISMATCH
    if requirement.compute_type not in view.compute_types:
        return Admission.COMPUTE_TYPE_UNSUPPORTED
    if not has_runner(view, requirement):
        return Admission.COMPUTE_TYPE_UNSUPPORTED
    if not serves_model(view, requirement):
        return Admission.MODEL_UNSUPPORTED_ON_PROVIDER
    # Last: what it costs is asked of machines that could run the job.
    return None if is_affordable(view.price_bps, requirement) else Admission.PRICE_ABOVE_HOLD


def of_any_price(requirement: Requirement) -> Requirement:
    """Return a requirement by which all machines of a kind fit or none: without a price and one to pass over."""
    passes_over = requirement.excluded_provider_id or requirement.handed_to or not requirement.choice.is_open
    if requirement.max_price_bps is None and not passes_over:
        return requirement
    return replace(
        requirement, max_price_bps=None, excluded_provider_id=None, handed_to=frozenset(), choice=ANY_PROVIDER
    )


def is_affordable(price_bps: int, requirement: Requirement) -> bool:
    """Tell whether what was held pays for a machine at that price."""
    return requirement.max_price_bps is None or price_bps <= requirement.max_price_bps


def placement_obstacle(view: ProviderView, requirement: Requirement) -> Admission | None:
    """Return why a job cannot start on this provider now, or None when it fits."""
    if requirement.at_once:
        view = view.for_calls
    reason = availability_obstacle(view) or capability_obstacle(view, requirement)
    if reason is None and view.occupied + requirement.gpu_count > view.slots:
        return Admission.PROVIDER_BUSY
    return reason


def fits(view: ProviderView, requirement: Requirement) -> bool:
    """Tell whether a job can start on this provider now."""
    return placement_obstacle(view, requirement) is None


def choose(
    views: Iterable[ProviderView],
    requirement: Requirement,
    *,
    prewarm: bool = False,
    avoid: Collection[int] = (),
) -> int | None:
    """Return the id of the best fitting provider, or None when none fits.

    Online goes before degraded, then come a cached model, reputation, the lower price, what was not measured to be
    below its model, the share in use and the lower id; `prewarm` puts the cached model first, an order that prefers the
    price has it before reputation. Reputations up to REPUTATION_SLACK below the best count as equal to it. Providers
    in `avoid` are taken only when no other fits.
    """
    return best_of([view for view in views if fits(view, requirement)], requirement, prewarm=prewarm, avoid=avoid)


def best_of(
    candidates: Sequence[ProviderView],
    requirement: Requirement,
    *,
    prewarm: bool = False,
    avoid: Collection[int] = (),
) -> int | None:
    """Return the id of the best of providers that fit, in the order of `choose`; None of none."""
    equals = equals_of(candidates, requirement, prewarm=prewarm, avoid=avoid)
    ranked = [(view.price_bps, view.below_model, view.share, -view.reputation, view.id) for view in equals]
    return min(ranked)[-1] if ranked else None


def equals_of(
    candidates: Sequence[ProviderView], requirement: Requirement, *, prewarm: bool = False, avoid: Collection[int] = ()
) -> list[ProviderView]:
    """Return those of the providers that fit which are as good as the best, but for price, performance and idleness."""
    if not candidates:
        return []

    def standing(view: ProviderView) -> tuple[bool, bool, bool]:
        # Smaller goes first, so each part says what is worse.
        cold = requirement.model not in view.models
        degraded = view.status is not ProviderStatus.ONLINE
        first, second = (cold, degraded) if prewarm else (degraded, cold)
        return (view.id in avoid, first, second)

    standings = [standing(view) for view in candidates]
    best = min(standings)
    candidates = [view for view, its in zip(candidates, standings, strict=True) if its == best]
    if requirement.prefers_price:
        cheapest = min(view.price_bps for view in candidates)
        candidates = [view for view in candidates if view.price_bps == cheapest]
    # Against the best of them and not in steps: two that differ by a point are equal wherever a step would lie.
    least = max(view.reputation for view in candidates) - REPUTATION_SLACK
    return [view for view in candidates if view.reputation >= least]
