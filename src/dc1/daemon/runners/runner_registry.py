"""The daemon's runners and what each can do now."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol, runtime_checkable

import structlog

from dc1.containment import contained
from dc1.daemon.runners.base import Readiness, Runner, Work
from dc1.domain.jobs.states import JobType
from dc1.domain.providers.model_abilities import ModelAbilities

PROBE_SECONDS = 20.0
"""A probe that takes longer counts as unavailable."""

MAX_MODEL_CHARS = 200
"""The longest name of a model in the protocol."""

log = structlog.get_logger(__name__)


@runtime_checkable
class ImageRunner(Protocol):
    """A runner that runs approved images only, in containers that are handed GPUs and outlive a killed daemon."""

    def serve(self, provider_id: int, images: Iterable[str]) -> None:
        """Take over for which provider it runs containers, and the approved image references."""
        ...

    def use_gpus(self, uuids: Iterable[str]) -> None:
        """Replace the GPUs that may be handed out."""
        ...

    def pytorch_image(self) -> tuple[str, str] | None:
        """Return an approved image with PyTorch and the address of the engine that runs it, None without one."""
        ...

    def refusal(self, work: Work) -> str | None:
        """Return why such work cannot be done here now; None when it can."""
        ...


class RunnerRegistry:
    """Knows which runner is available for which work; `probe` brings it up to date."""

    def __init__(self, runners: Sequence[Runner]) -> None:
        self._runners = tuple(runners)
        self._found = tuple(Readiness(False, "not looked at yet") for _ in self._runners)
        self._once_found: set[Runner] = set()
        self.approved_images: frozenset[str] = frozenset()
        self._provider_id: int | None = None
        self._stale, self._told = asyncio.Event(), asyncio.Event()
        self._image_runners = tuple(runner for runner in self._runners if isinstance(runner, ImageRunner))

    async def probe(self) -> bool:
        """Look at every runner; tell whether anything changed."""
        # Before the look: a doubt that comes up during it asks for another.
        self._stale.clear()
        self._told.clear()
        found = tuple(await asyncio.gather(*(_probe(runner) for runner in self._runners)))
        changed = found != self._found
        for runner, before, now in zip(self._runners, self._found, found, strict=True):
            if before != now:
                log.info("runner_changed", runner=type(runner).__name__, available=now.available, reason=now.reason)
        self._found = found
        self._once_found |= {runner for runner, _ in self._available()}
        return changed

    @property
    def lost(self) -> frozenset[Runner]:
        """Those that cannot be used now and could be before."""
        return frozenset(self._once_found.difference(runner for runner, _ in self._available()))

    def serve(self, provider_id: int, images: Iterable[str]) -> None:
        """Take over from the server for which provider work is done, and its list of approved images."""
        self._provider_id = provider_id
        self.approve(images)

    def approve(self, images: Iterable[str]) -> None:
        """Take over the server's list of approved images, for the provider that is served."""
        if self._provider_id is None:
            return  # said before a Welcome, which will have the list itself
        self.approved_images = frozenset(images)
        for runner in self._image_runners:
            _tell(runner, partial(runner.serve, self._provider_id, self.approved_images))
        # The container runner is unavailable as long as no image is approved.
        self._told.set()
        self._stale.set()

    def use_gpus(self, uuids: Sequence[str]) -> None:
        """Take over what telemetry found."""
        for runner in self._image_runners:
            _tell(runner, partial(runner.use_gpus, uuids))

    def pytorch_image(self) -> tuple[str, str] | None:
        """Return an image to be measured in and the address of its engine, empty where that finds itself."""
        return next(filter(None, (runner.pytorch_image() for runner in self._image_runners)), None)

    def look_again(self) -> None:
        """Ask for a probe before the next one is due, as a runner is doubted."""
        self._stale.set()

    async def stale(self, seconds: float) -> bool:
        """Wait until a probe is asked for or `seconds` have passed; tell whether one was."""
        return await _set_within(self._stale, seconds)

    async def told(self, seconds: float) -> bool:
        """Wait for what a server says that changes what runners can do, for `seconds`; tell whether it did."""
        return await _set_within(self._told, seconds)

    def runner_for(self, work: Work) -> Runner | str:
        """Return a runner that can take such work now, or the reason why there is none."""
        candidates = [pair for pair in self._available() if work.job_type in pair[0].kinds]
        if not candidates:
            return f"no runner for {work.job_type.value} is available"
        for runner, models in candidates:
            # A runner without models of its own, such as one for containers, takes any that is named.
            if work.model is None or not models or work.model.casefold() in (name.casefold() for name in models):
                return self._refusal(runner, work) or runner
        return f"model '{work.model}' is not served here"

    def _refusal(self, runner: Runner, work: Work) -> str | None:
        """Return why a runner cannot do such work now, None when it can."""
        # Known by what was found at the start: to ask again what a runner can do costs as much as reading the offer.
        asked = next((each for each in self._image_runners if each is runner), None)
        if asked is None:
            return None
        with contained():
            return asked.refusal(work)

    def calls_of(self, runner: Runner) -> int:
        """Return how many jobs a runner does at once, 0 for one whose jobs take a GPU's slot each."""
        return next((found.calls for each, found in self._now() if each is runner), 0)

    @property
    def availability(self) -> dict[str, bool]:
        """Whether each runner can be used now, by the name of its kind."""
        return {type(runner).__name__: found.available for runner, found in self._now()}

    @property
    def inference_slots(self) -> int:
        """How many calls the engines here take at once, 0 when none says."""
        return sum(found.calls for found in self._found if found.available)

    @property
    def job_types(self) -> list[str]:
        """Kinds of work that can be done now, in documented order."""
        kinds = {kind for runner, _ in self._available() for kind in runner.kinds}
        return [kind.value for kind in JobType if kind in kinds]

    @property
    def models(self) -> list[str]:
        """Every model that an available runner offers, without repetition."""
        return list(dict.fromkeys(model for _, models in self._available() for model in models))

    @property
    def abilities(self) -> dict[str, ModelAbilities]:
        """What is known of the models, by their names: of two runners that offer one, who is called decides."""
        known: dict[str, ModelAbilities] = {}
        offered: set[str] = set()
        for found in self._found:
            first = [model for model in found.models if found.available and model.casefold() not in offered]
            known |= {model: found.abilities[model] for model in first if model in found.abilities}
            offered |= {model.casefold() for model in first}
        return known

    def _available(self) -> list[tuple[Runner, tuple[str, ...]]]:
        return [(runner, found.models) for runner, found in self._now() if found.available]

    def _now(self) -> Iterable[tuple[Runner, Readiness]]:
        return zip(self._runners, self._found, strict=True)

    async def aclose(self) -> None:
        """Close every runner."""
        await asyncio.gather(*(_close(runner) for runner in self._runners))


def _tell(runner: ImageRunner, say: Callable[[], None]) -> None:
    """Tell a runner something; one that fails of it keeps nobody else from hearing it."""
    try:
        with contained():
            say()
    except Exception:
        log.exception("runner_not_told", runner=type(runner).__name__)


async def _probe(runner: Runner) -> Readiness:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            with contained():
                found = await runner.probe()
            return replace(found, models=tuple(name for name in found.models if _is_model_name(name)))
    except TimeoutError:
        return Readiness(False, f"did not answer within {PROBE_SECONDS:.0f} s")
    except Exception as error:
        # What is behind a runner may say anything; whatever it is, it takes no other runner with it.
        log.exception("probe_failed", runner=type(runner).__name__)
        return Readiness(False, f"the look at it failed: {type(error).__name__}")


async def _close(runner: Runner) -> None:
    try:
        with contained():
            await runner.aclose()
    except Exception:
        log.exception("runner_not_closed", runner=type(runner).__name__)


def _is_model_name(name: object) -> bool:
    """Return whether the protocol can carry such a name of a model."""
    return isinstance(name, str) and 0 < len(name) <= MAX_MODEL_CHARS and name.isprintable()


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    """Tell whether an event is set, or becomes it within `seconds`."""
    if event.is_set():
        return True
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
