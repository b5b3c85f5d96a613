"""Calls under /v1: which models can be called, and a call's way to a daemon that answers it."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from functools import partial

import structlog

from dc1.control.failures import is_told, level_of
from dc1.control.fleet.provider import Provider
from dc1.control.operations.attempts import Attempts
from dc1.control.operations.catalog import Catalog
from dc1.control.operations.job_commands import JobCommands
from dc1.control.operations.submission import Submission
from dc1.control.scheduling.call_queue import CallQueue
from dc1.control.scheduling.core import Core
from dc1.control.scheduling.dispatcher import Dispatcher
from dc1.control.scheduling.engine_health import EVERYBODY
from dc1.control.scheduling.replicas import Replicas
from dc1.control.scheduling.sessions import StopReason
from dc1.domain import errors
from dc1.domain.access.provider_choice import ANY_PROVIDER
from dc1.domain.errors.codes import OpenAICode
from dc1.domain.inference.affinity import affinity_of, preferred
from dc1.domain.inference.calls import MOST_RETRIES, InferenceCall, requirement_of_model
from dc1.domain.inference.kinds import CALL_KINDS
from dc1.domain.inference.usage import NOTHING_RELAYED, RelayedText
from dc1.domain.jobs.container_spec import effective_container_spec
from dc1.domain.jobs.faults import Fault
from dc1.domain.jobs.placement import Requirement, capability_obstacle
from dc1.domain.jobs.states import Actor, ComputeType, ErrorCategory, JobSource, JobType, new_job_id
from dc1.domain.money.pricing import PricingClass
from dc1.domain.providers.model_abilities import EnginePath
from dc1.storage.engine.database import Connection
from dc1.storage.engine.unwritable import OutcomeUnknownError
from dc1.storage.jobs import jobs, lifecycle
from dc1.storage.jobs.job_records import JobRow, JobSpec
from dc1.storage.jobs.submission import NewJob
from dc1.storage.providers import offered_models

_SERVER_STOPPED = "The server stopped while the call ran"
_LOOK_SECONDS = 2.0
_LOOKS = 60
"""For two minutes: a database that is away for longer finds a call whose time is over."""
log = structlog.get_logger(__name__)


class Completions:
    """The renter's side of /v1 calls."""

    def __init__(
        self,
        core: Core,
        dispatcher: Dispatcher,
        submission: Submission,
        job_commands: JobCommands,
        attempts: Attempts,
        replicas: Replicas,
        catalog: Catalog,
    ) -> None:
        self._db = core.db
        self._catalog = catalog
        self._clock = core.clock
        self._fleet = core.fleet
        self._config = core.config
        self._dispatcher = dispatcher
        self._submission = submission
        self._job_commands = job_commands
        self._replicas = replicas
        self._leases = core.leases
        self._attempts = attempts
        self._queue = CallQueue(self._place, dispatcher.unplace)
        dispatcher.tell_of_room = self._queue.serve_soon
        dispatcher.next_of = self._next_of
        replicas.hear_of_room(lambda: len(self._queue) > 0)
        # Calls somebody waits for, by row id.
        self._answered: dict[int, InferenceCall] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._limits = replace(
            core.config.limits,
            max_retries=MOST_RETRIES,
            queue_deadline_seconds=core.config.completion_timeout_seconds,
        )

    def served(self) -> Mapping[str, int]:
        """Return the models that can be called now, as spelled by a daemon, and when each was first offered."""
        found: dict[str, str] = {}
        for provider in self._fleet:
            # The cheap look first: a view of every provider for every list of models would cost far more.
            new = [model for model in provider.models if model.lower() not in found] if _is_there(provider) else ()
            for model in self._served_of(provider, new):
                found.setdefault(model.lower(), model)
        now_ms = self._clock.now_ms()
        return {model: self._fleet.offered.first_ms(model) or now_ms for _, model in sorted(found.items())}

    def served_by(self, provider: Provider) -> Sequence[str]:
        """Return the models of a provider that can be called now, as its daemon spells them."""
        return self._served_of(provider, provider.models if _is_there(provider) else ())

    def _served_of(self, provider: Provider, models: Sequence[str]) -> Sequence[str]:
        view = self._fleet.view(provider) if models else None
        if view is None or not view.takes_new_work:
            return ()
        return [model for model in models if capability_obstacle(view, requirement_of_model(model)) is None]

    def one_served(self, model: str) -> tuple[str, int]:
        """Return a model that can be called now, as spelled by a daemon, and when it was first offered.

        Raises:
            model_not_found: Nobody offers it.
        """
        requirement = requirement_of_model(model)
        for provider in self._offering(requirement):
            if _is_there(provider) and self._serves(provider, requirement):
                spelled = next(name for name in provider.models if name.lower() == requirement.model)
                return spelled, self._fleet.offered.first_ms(model) or self._clock.now_ms()
        raise errors.model_not_found(model)

    def serves_natively(self, call: InferenceCall) -> bool:
        """Tell whether somebody has a call's own path, and room for it or nobody has room for it as a chat."""
        requirement = call.requirement
        if self._has_room(requirement):
            return True
        as_chat = replace(requirement, path=EnginePath.CHAT, needs_bodies=False)
        return not self._has_room(as_chat) and self.is_served(call)

    def is_served(self, call: InferenceCall) -> bool:
        """Tell whether anybody whom a call allows answers such calls now, with room for it or without."""
        there = (each for each in self._offering(call.requirement) if _is_there(each))
        return any(self._serves(each, call.requirement) for each in there)

    async def reserve(self, renter_id: int, call: InferenceCall) -> Provider:
        """Reserve room for a call on the provider that should answer it, and wait for it where there is none.

        Raises model_not_found, model_not_offered and no_capacity_available. `start` has to follow at once; a caller who
        leaves before has left nothing behind.
        """
        requirement = call.requirement
        # Who came before has the next room.
        if not self._queue.is_waited_for(requirement):
            reserved = self._place(requirement, renter_id, affinity_of(renter_id, call.shared))
            if reserved is None and await self._replicas.catch_up():
                reserved = self._place(requirement, renter_id)
            if reserved is not None:
                return reserved
        refusal = await self._refusal(call.model, requirement)
        seconds = self._config.completion_queue_seconds
        if refusal.code is not OpenAICode.NO_CAPACITY_AVAILABLE or not seconds:
            raise refusal
        self._replicas.want_room()
        reserved = await self._queue.wait(renter_id, requirement, seconds)
        if reserved is None:
            raise refusal
        return reserved

    async def start(
        self, renter_id: int, call: InferenceCall, reserved: Provider, scoped_key_id: str | None = None
    ) -> JobRow:
        """Hold the price of a call, made with that scoped key if with any, and offer it where room is `reserved`.

        Raises:
            ApiError: no_capacity_available, or what a submission raises; nothing is held, and the room is given back.
            OutcomeUnknownError: the database was lost meanwhile; what it holds then is given back.
        """
        new = replace(self._new_job(renter_id, call), scoped_key_id=scoped_key_id)
        try:
            retries = call.retries if call.routing.may_be_retried else 0
            limits = replace(self._limits, max_retries=retries)
            job = (await self._submission.submit(new, reserved, limits)).job
        except errors.ApiError as refusal:
            if refusal.code == OpenAICode.NO_CAPACITY_AVAILABLE:
                # Another server was faster. What it did is known before the caller asks for room again.
                await self._replicas.catch_up()
            raise
        except OutcomeUnknownError:
            ending = asyncio.create_task(self._end_if_there(new.job_id))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
            raise
        self._answered[job.id] = call
        return job

    @property
    def waiting(self) -> int:
        """How many calls wait for a provider."""
        return len(self._queue)

    def drain(self) -> None:
        """Send who waits for a provider to the next server."""
        self._queue.close()

    def answered(self, row_id: int) -> None:
        """Note that nobody waits for a call any more."""
        self._answered.pop(row_id, None)

    async def abandon(self, row_id: int, actor: Actor = Actor.RENTER) -> JobRow | None:
        """End a call whose caller left; return it, None where it has ended. What was relayed a renter pays."""
        call = self._answered.pop(row_id, None)
        is_whole = call is not None and not call.stream
        with suppress(errors.ApiError):
            return await self._job_commands.cancel(row_id, actor, in_one_piece=is_whole, is_left=True)
        return None

    async def _end_if_there(self, reference: str) -> None:
        """Call off a call of which nobody knew whether it was stored: its caller was told to ask again."""
        # Not by one look: what was being committed may be there a moment after the database is.
        for look in range(1, _LOOKS + 1):
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                job = await self._db.read(lambda conn: jobs.find(conn, reference))
            except Exception as error:
                if is_told(look):
                    level_of(error, log)("unknown_call_not_looked_for", job_id=reference)
                continue
            if job is not None:
                await self.abandon(job.id)
                return

    async def stop(self) -> None:
        """End the calls that are still answered, for the server stops: by nobody's fault; their callers are told so.

        What of a stream its caller has is paid; a caller who waits for the whole has nothing.
        """
        now_ms = self._clock.now_ms()
        answered = dict(self._answered)

        def work(conn: Connection, said: Mapping[int, RelayedText]) -> list[tuple[lifecycle.Transition, int | None]]:
            found = [(jobs.known(conn, row_id), call.stream) for row_id, call in answered.items()]
            ended = [
                (_stopped(conn, job, now_ms, said[job.id] if streams else NOTHING_RELAYED), job.provider_id)
                for job, streams in found
            ]
            return [(moved, provider_id) for moved, provider_id in ended if moved is not None]

        await self._attempts.starts.store(*sorted(answered))
        with self._leases.settling(*answered) as said:
            for moved, provider_id in await self._db.write(partial(work, said=said)):
                self._attempts.left(moved, provider_id, StopReason.CANCELLED)

    async def end_orphans(self) -> None:
        """Fail the calls that an earlier server left: nobody waits for them. Called before anything is loaded."""
        now_ms = self._clock.now_ms()

        def work(conn: Connection) -> None:
            for job in (*jobs.load_active(conn), *jobs.load_queue(conn)):
                if job.source == JobSource.V1:
                    _stopped(conn, job, now_ms, NOTHING_RELAYED)

        await self._db.write(work)

    def _place(self, wanted: Requirement, renter_id: int = EVERYBODY, affinity: bytes | None = None) -> Provider | None:
        """Reserve a slot of the daemon that should answer; of one whose stream another server holds, if need be."""
        if not self._has_room(wanted):
            return None
        requirement = replace(wanted, handed_to=self._shunned(wanted, renter_id))
        for asked in self._welcome(requirement):
            reserved = self._reserve(asked, affinity)
            if reserved is not None:
                return reserved
        return None

    def _has_room(self, requirement: Requirement) -> bool:
        """Tell whether anybody could take a call: whoever waits looks whenever room changes, and mostly in vain."""
        self._fleet.presence.age()
        free = self._fleet.availability
        return any(True for each in (free.local, free.remote) for _ in each.fitting(requirement))

    def _welcome(self, requirement: Requirement) -> Iterator[Requirement]:
        """Yield who is to be asked, one after the other: those whom the call names first, the fastest, and all."""
        for provider_id in requirement.order:
            yield requirement.only_of([provider_id])
        if requirement.speed is not None:
            free = self._fleet.availability
            there = (*free.local.fitting(requirement), *free.remote.fitting(requirement))
            fastest = self._dispatcher.speeds.fastest(requirement.model or "", there, requirement.speed)
            if fastest:
                yield requirement.only_of(fastest)
        yield requirement

    def _next_of(self, job: JobRow, avoid: frozenset[int]) -> int | None:
        """Return who is to have a job that waits again: of a call, whom it prefers of those that are left."""
        call = self._answered.get(job.id)
        wanted = job.requirement
        if call is not None:
            # Not stored: only while its caller waits does anybody care, and that is here.
            wanted = replace(wanted, order=call.routing.order, speed=call.routing.speed)
        free = self._fleet.availability.local
        found = (free.best(asked, avoid=avoid) for asked in self._welcome(wanted))
        return next((provider_id for provider_id in found if provider_id is not None), None)

    def _reserve(self, requirement: Requirement, affinity: bytes | None) -> Provider | None:
        if affinity is not None:
            # While it has room; then whoever has most.
            chosen = preferred(affinity, self._fleet.availability.local.equals(requirement))
            requirement = replace(requirement, named_provider_id=chosen)
        reserved = self._dispatcher.place(requirement)
        if reserved is not None:
            return reserved
        provider_id = self._fleet.availability.remote.best(requirement)
        if provider_id is None:
            return None
        self._fleet.occupy(provider_id, requirement.room)
        return self._fleet.known(provider_id)

    def _shunned(self, requirement: Requirement, renter_id: int) -> frozenset[int]:
        """Return whose engines failed lately, unless nobody else serves the model."""
        shunned = self._dispatcher.health.shunned(requirement.model or "", renter_id)
        well = (provider for provider in self._offering(requirement) if provider.id not in shunned)
        return shunned if shunned and any(self._serves(provider, requirement) for provider in well) else frozenset()

    def _offering(self, requirement: Requirement) -> Iterator[Provider]:
        for provider_id in self._fleet.offered.providers_of(requirement.model or ""):
            provider = self._fleet.get(provider_id)
            if provider is not None:
                yield provider

    def _serves(self, provider: Provider, requirement: Requirement) -> bool:
        """Tell whether a provider answers such calls now, when it has a slot free."""
        # The cheap look first: a view is dear where thousands offer the model and a call may have few of them.
        if not requirement.choice.allows(provider.id):
            return False
        view = self._fleet.view(provider)
        return view.takes_new_work and capability_obstacle(view, requirement) is None

    async def _refusal(self, model: str, requirement: Requirement) -> errors.ApiError:
        there = [provider for provider in self._offering(requirement) if _is_there(provider)]
        if any(self._serves(provider, requirement) for provider in there):
            return errors.no_capacity_available(model)
        anybody = replace(requirement, choice=ANY_PROVIDER)
        if any(self._serves(provider, anybody) for provider in there):
            return errors.no_allowed_provider(model)
        of_any_path = replace(anybody, path=None, needs_bodies=False)
        others = [provider for provider in there if self._serves(provider, of_any_path)]
        paths = {path for provider in others for path in provider.abilities.of_model(model).paths}
        if paths and requirement.path not in paths:
            return errors.path_not_offered(model, requirement.path or "", sorted(paths & CALL_KINDS.keys()))
        if self._fleet.offered.first_ms(model) is not None:
            return errors.model_not_offered(model)
        # Another server may have heard of it.
        known = await self._db.read(lambda conn: offered_models.is_known(conn, model.lower()))
        return errors.model_not_offered(model) if known else errors.model_not_found(model)

    def _new_job(self, renter_id: int, call: InferenceCall) -> NewJob:
        prices = self._catalog.token_prices(call.model)
        container_spec = effective_container_spec(JobType.LLM_INFERENCE, None, PricingClass.STANDARD)
        return NewJob(
            job_id=new_job_id(self._clock.now_ms()),
            renter_id=renter_id,
            job_type=JobType.LLM_INFERENCE,
            spec=JobSpec(container_spec, env_vars={}, inference_path=call.path, inference_body=call.body),
            call_path=call.path,
            needs_bodies=call.needs_bodies,
            duration_minutes=None,
            max_duration_seconds=self._config.completion_timeout_seconds,
            rate_halala_per_minute=0,
            class_multiplier=Decimal(1),
            cost_halala=prices.hold(call.prompt_bytes, call.max_tokens),
            fee_bps=self._config.fee_bps,
            compute_type=ComputeType.INFERENCE,
            provider_choice=call.routing.choice.to_store(),
            model=call.model,
            token_price_halala=prices.prompt_halala,
            completion_price_halala=prices.completion_halala,
            cached_price_halala=prices.cached_halala,
            source=JobSource.V1,
        )


def _stopped(conn: Connection, job: JobRow, now_ms: int, relayed: RelayedText) -> lifecycle.Transition | None:
    """End a call for which the server that answered it is gone; None when it has ended."""
    why = ErrorCategory.SERVER_STOP
    if job.provider_id is None:
        return lifecycle.drop(conn, job.id, now_ms, why, _SERVER_STOPPED)
    offered = lifecycle.unclaim(
        conn, job.id, job.provider_id, now_ms, reason=_SERVER_STOPPED, category=why, fault=Fault.MARKET
    )
    if offered is not None:
        return lifecycle.Transition(offered)
    return lifecycle.lose(
        conn,
        job.id,
        job.attempt_number,
        now_ms,
        queue_deadline_seconds=0,
        category=why,
        error=_SERVER_STOPPED,
        relayed=relayed,
        fault=Fault.MARKET,
        may_retry=False,
    )


def _is_there(provider: Provider) -> bool:
    """Tell at little cost whether a provider is worth a closer look."""
    return provider.presence.stream_open and not (provider.pauses or provider.suspended)
