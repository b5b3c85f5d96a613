"""Who could run a job, now or later, and in words why nobody starts it: for estimates and for jobs that wait."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from dc1.control.fleet.fleet import Fleet
from dc1.domain.access.provider_choice import ANY_PROVIDER
from dc1.domain.jobs.placement import Requirement, TaskObstacle
from dc1.domain.jobs.tasks.daemon_tasks import LONGEST_RUN_SECONDS

_OF_TASK: Mapping[TaskObstacle, str] = {
    TaskObstacle.NO_SCRIPT: "{near} would fit and can only be given a command or a prompt of text",
    TaskObstacle.TOO_LONG: f"{{near}} would fit and runs nothing for longer than {LONGEST_RUN_SECONDS} seconds",
}


@dataclass(frozen=True, slots=True)
class Outlook:
    """Which machines fit a job and are there, with their prices, which have room now, and why none has, if so."""

    fitting: Mapping[int, int]
    free: frozenset[int]
    reason: str | None


def outlook(fleet: Fleet, requirement: Requirement) -> Outlook:
    """Return who could run a job, as this moment is."""
    availability = fleet.availability
    fitting = {
        machine_id: price_bps
        for price_bps, members in availability.bookable.fitting(requirement)
        for machine_id in members
    }
    # A stream that ends elsewhere is served there, and a machine is free all the same.
    free = frozenset((*availability.local.fitting(requirement), *availability.remote.fitting(requirement)))
    return Outlook(fitting, free, None if free else _reason(fleet, requirement, len(fitting)))


def obstacle_in_words(fleet: Fleet, requirement: Requirement) -> str | None:
    """Return why nobody can start a job now, None where somebody can; nobody is listed for it."""
    availability = fleet.availability
    for free in (availability.local, availability.remote):
        if next(free.fitting(requirement), None) is not None:
            return None
    return _reason(fleet, requirement, availability.bookable.count(requirement))


def _reason(fleet: Fleet, requirement: Requirement, fitting: int) -> str:
    if fitting:
        busy = {1: "and is busy", 2: "both busy"}.get(fitting, "all busy")
        return f"1 machine fits {busy}" if fitting == 1 else f"{fitting} machines fit, {busy}"
    away = fleet.availability.approved.count(requirement)
    if away:
        whom = "the named machine" if requirement.named_provider_id is not None else _machines(away)
        return f"{whom} would fit and {'is' if away == 1 else 'are'} not there now"
    for without, reason in _conditions(requirement):
        # The first whose absence alone would let somebody run it: that is what to change.
        near = fleet.availability.bookable.count(without)
        if near:
            return reason.format(near=_machines(near))
    if requirement.named_provider_id is not None:
        return "the named machine cannot run it"
    return "no machine that is there meets all of its conditions" if len(fleet) else "no machine is there"


def _machines(count: int) -> str:
    return "1 machine" if count == 1 else f"{count} machines"


def _conditions(requirement: Requirement) -> Iterator[tuple[Requirement, str]]:
    """Yield the job without each of its conditions, and what is to be said if that makes the difference."""
    if requirement.max_price_bps is not None:
        yield replace(requirement, max_price_bps=None), "{near} would fit and cost more than the job is held for"
    if requirement.task_obstacle is not None:
        yield replace(requirement, task_obstacle=None), _OF_TASK[requirement.task_obstacle]
    if not requirement.choice.is_open:
        yield replace(requirement, choice=ANY_PROVIDER), "{near} would fit and the key allows none of them"
    if requirement.handed_to:
        again = replace(requirement, handed_to=frozenset(), excluded_provider_id=None)
        yield again, "{near} would fit and had the job before"
    if requirement.model is not None:
        yield replace(requirement, model=None), "no machine offers this model"
    if requirement.gpu_type is not None:
        yield replace(requirement, gpu_type=None), "no machine has this GPU"
    if requirement.min_vram_gb is not None:
        yield replace(requirement, min_vram_gb=None), "no machine has so much VRAM"
    if requirement.needs_gpu:
        yield replace(requirement, needs_gpu=False), "no machine has a GPU with CUDA"
    if requirement.gpu_count > 1:
        yield replace(requirement, gpu_count=1), "no machine has so many GPUs"
    if requirement.job_type is not None:
        yield replace(requirement, job_type=None), "no machine runs this kind of work"
