"""Container jobs, on any engine that speaks the Docker API."""

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from docker.errors import APIError, ImageNotFound, NotFound

from dc1.daemon.runners import bridge
from dc1.daemon.runners.base import Readiness, Result, RunFailed, Sink, Work, within_deadline
from dc1.daemon.runners.container.engine import ENGINE_ERRORS, NoEngineError, connect_engine, traits
from dc1.daemon.runners.container.following import ContainerRun
from dc1.daemon.runners.container.gpus import GpuPool
from dc1.daemon.runners.container.guard import UnguardedError, network_obstacle, start_guard
from dc1.daemon.runners.container.image_store import ImageStore, disk_of
from dc1.daemon.runners.container.image_user import check_user
from dc1.daemon.runners.container.options import (
    LABEL_DAEMON,
    LABEL_OWNER,
    ContainerLimits,
    create_options,
    gpu_count,
    requested_image,
)
from dc1.daemon.runners.container.output import ContainerOutput
from dc1.daemon.runners.container.ownership import Ownership, remove, try_to_remove
from dc1.daemon.runners.container.verdicts import failure_of, refused
from dc1.domain.jobs.log_notices import NO_NETWORK
from dc1.domain.jobs.states import CONTAINER_TYPES, ErrorCategory, Phase

log = logging.getLogger(__name__)

_REAP_AGAIN_SECONDS = 2.0
"""How soon what could not be removed is tried again."""


class ContainerRunner:
    """Runs approved images, locked in as `container_options` says, and always removes what it started."""

    kinds = CONTAINER_TYPES

    def __init__(
        self,
        market: str,
        *,
        base_url: str | None = None,
        limits: ContainerLimits | None = None,
        gpus: Iterable[str] = (),
        allow_network: bool = False,
        image_disk_mib: int = 100 * 1024,
    ) -> None:
        """Make a runner.

        Args:
            market: Where the work comes from, as the daemon knows it: daemons of several markets may share an engine.
            base_url: The engine's address; found by itself when None.
            limits: The most a container may have; three quarters of the machine when None.
            gpus: UUIDs of the GPUs that containers may be given.
            allow_network: Whether a job that asks for `network: bridge` gets it.
            image_disk_mib: How much disk the images that are pulled for jobs may take.
        """
        self._market = market
        self._owned = Ownership()
        self._approved: frozenset[str] = frozenset()
        self._base_url = base_url
        self._limits = limits or ContainerLimits.of_this_machine()
        self._gpus = GpuPool(gpus)
        self._offers_gpus = False
        self._allow_network = allow_network
        self._images = ImageStore(image_disk_mib)
        # Why containers can have no network; empty once it was proved that they can.
        self._network_obstacle: str | None = None
        self._client: Any = None
        self._removals: set[asyncio.Task[None]] = set()
        self._cleaning: asyncio.Task[None] | None = None

    def serve(self, provider_id: int, images: Iterable[str]) -> None:
        """Take over from the server whose containers they are and which image references may run."""
        # Not by the key, which is replaced: the next daemon of this provider has to know them again.
        self._owned.owner = f"{self._market}/{provider_id}"
        self._approved = frozenset(images)

    def use_gpus(self, uuids: Iterable[str]) -> None:
        """Replace the GPUs that containers may be given; those already lent stay where they are."""
        self._gpus.present = tuple(uuids)

    def pytorch_image(self) -> tuple[str, str] | None:
        """Return the first approved image that has PyTorch by its name, and where its engine is."""
        found = sorted(image for image in self._approved if "pytorch" in image.lower())
        return (found[0], self._base_url or "") if found else None

    def refusal(self, work: Work) -> str | None:
        """Return why this machine, as it was last seen, cannot do such work; None when it can."""
        if self._allow_network and _wants_network(work) and self._network_obstacle != "":
            return "the job asks for a network, and none can be fenced in here"
        return self._gpus.refusal(work, offered=self._offers_gpus)

    async def probe(self) -> Readiness:
        """Look for an engine and for something it may run."""
        try:
            client = await asyncio.to_thread(self._connected)
            found = await asyncio.to_thread(traits, client)
            self._offers_gpus = found.gpus
            await self._owned.reap(client)
            await self._look_at_network(client, found.seccomp)
        except (NoEngineError, *ENGINE_ERRORS) as error:
            self._client = None
            return Readiness(False, f"no container engine: {error}")
        if not self._approved:
            return Readiness(False, "no image is approved")
        said = f"container engine {found.version}, {len(self._approved)} approved images"
        if self._gpus.present and not found.gpus:
            said += ", no GPUs: it has no NVIDIA container toolkit"
        return Readiness(True, said)

    @within_deadline
    async def run(self, work: Work, sink: Sink) -> Result:
        """Run the job's image to its end."""
        image = requested_image(work)
        if image not in self._approved:
            raise RunFailed(ErrorCategory.CREATE, f"image '{image}' is not approved")
        try:
            client = await asyncio.to_thread(self._connected)
            engine = await asyncio.to_thread(traits, client)
            with self._gpus.lend(work, offered=engine.gpus) as gpus:
                fetched = await self._fetched(client, image, sink)
                with self._images.holding(fetched):
                    return await self._run_image(client, fetched, work, sink, gpus=gpus, seccomp=engine.seccomp)
        except UnguardedError as error:
            text = f"the network could not be fenced in: {error}"
            raise RunFailed(ErrorCategory.ENGINE, text, transient=True) from error
        except NoEngineError as error:
            raise RunFailed(ErrorCategory.ENGINE, f"no container engine: {error}", transient=True) from error
        except APIError as refusal:
            raise refused(refusal) from refusal
        except ENGINE_ERRORS as error:
            self._client = None
            raise RunFailed(ErrorCategory.ENGINE, f"the container engine failed: {error}", transient=True) from error

    async def aclose(self) -> None:
        """Wait for removals under way and close the connection."""
        if self._cleaning is not None:
            self._cleaning.cancel()
        # One that fails has been logged, and keeps no other from being waited for.
        await asyncio.gather(*self._removals, return_exceptions=True)
        if self._client is not None:
            self._client.close()
            self._client = None

    def _clean_up_later(self) -> None:
        if self._cleaning is None or self._cleaning.done():
            self._cleaning = asyncio.create_task(self._clean_up())

    async def _clean_up(self) -> None:
        """Remove what has no run any more as soon as the engine lets it: it would work on beside the next attempt."""
        while True:
            await asyncio.sleep(_REAP_AGAIN_SECONDS)
            with contextlib.suppress(NoEngineError, *ENGINE_ERRORS):
                client = await asyncio.to_thread(self._connected)
                if await self._owned.reap(client):
                    return

    def _connected(self) -> Any:
        if self._client is None:
            self._client = connect_engine(self._base_url)
            # Another engine, or the same with other settings.
            self._network_obstacle = None
        return self._client

    async def _fetched(self, client: Any, reference: str, sink: Sink) -> Any:
        """Return the image, pulled if the engine lacks it."""
        with contextlib.suppress(ImageNotFound):
            found = await asyncio.to_thread(client.images.get, reference)
            await asyncio.to_thread(self._images.used, client, found)
            return found
        # The phase alone, which is free: a log line would be taken for work.
        await sink.phase(Phase.PULLING)
        try:
            await asyncio.to_thread(self._images.make_room, client)
            directory = await asyncio.to_thread(disk_of, client)
            layers: dict[str, int] = {}
            pull = functools.partial(client.api.pull, reference, stream=True, decode=True)
            async with contextlib.aclosing(bridge.iterate(pull)) as progress:
                async for step in progress:
                    if "error" in step:
                        raise RunFailed(ErrorCategory.IMAGE_PULL, f"pulling {reference} failed: {step['error']}")
                    self._images.check_progress(reference, layers, step, directory)
            found = await asyncio.to_thread(client.images.get, reference)
            await asyncio.to_thread(self._images.pulled, client, found, reference)
            return found
        except NotFound as error:
            raise RunFailed(ErrorCategory.IMAGE_PULL, f"pulling {reference} failed: {error.explanation}") from error
        except ENGINE_ERRORS as error:
            raise RunFailed(ErrorCategory.IMAGE_PULL, f"pulling {reference} failed: {error}", transient=True) from error

    async def _run_image(
        self, client: Any, image: Any, work: Work, sink: Sink, *, gpus: tuple[str, ...], seccomp: str
    ) -> Result:
        config = image.attrs.get("Config") or {}
        options = create_options(
            work,
            owner=self._owned.owner,
            daemon=self._owned.daemon,
            limits=self._limits.share(gpu_count(work), max(1, len(self._gpus.present))),
            image_user=str(config.get("User") or ""),
            image_volumes=[str(place) for place in config.get("Volumes") or ()],
            gpus=gpus,
            seccomp=seccomp,
        )
        guarded = await self._is_to_have_network(work, sink)
        self._owned.begin(work)
        # By its id: the tag may have moved since the image was looked at.
        creating = asyncio.create_task(
            asyncio.to_thread(_create, client, image.id, options, seccomp if guarded else None)
        )
        try:
            return await self._follow(client, await asyncio.shield(creating), sink, gpus)
        finally:
            # Also when cancelled while the engine was still creating it.
            removal = asyncio.create_task(self._discard(creating, work))
            self._removals.add(removal)
            removal.add_done_callback(self._removals.discard)
            await asyncio.shield(removal)

    async def _is_to_have_network(self, work: Work, sink: Sink) -> bool:
        wanted = _wants_network(work)
        if wanted and not self._allow_network:
            await sink.log("warn", NO_NETWORK)
        return wanted and self._allow_network

    async def _look_at_network(self, client: Any, seccomp: str) -> None:
        """Find out once for each connection whether networks can be fenced in; every job proves it for itself too."""
        if not self._allow_network or self._network_obstacle == "":
            return
        labels = {LABEL_OWNER: self._owned.owner, LABEL_DAEMON: self._owned.daemon}
        # A look that is cancelled leaves the thread to its end, where it removes what it has started.
        self._network_obstacle = await asyncio.to_thread(network_obstacle, client, labels, seccomp)
        if self._network_obstacle:
            log.warning("jobs that ask for a network are not taken: %s", self._network_obstacle)

    async def _follow(self, client: Any, created: "_Created", sink: Sink, gpus: tuple[str, ...]) -> Result:
        container, output, started = created.container, ContainerOutput(), time.monotonic()
        run = ContainerRun(created, output, sink)
        await asyncio.to_thread(container.start)
        await sink.phase(Phase.GENERATING)
        status = await run.end()
        for level, message in output.finish():
            await sink.log(level, message)
        memory_kill = run.memory_kills.happened()
        killed = run.was_killed
        if failure := await failure_of(client, container, status, output, memory_kill=memory_kill, killed=killed):
            raise failure
        return Result(
            payload=output.result(),
            gpu_seconds=round((time.monotonic() - started) * len(gpus), 3),
            exit_code=0,
        )

    async def _discard(self, creating: "asyncio.Task[_Created]", work: Work) -> None:
        removed = False
        try:
            created = await creating
            removed = await try_to_remove(created.container)
            if created.guard is not None:
                removed &= await try_to_remove(created.guard)
            # Not closed yet where the container could not be started.
            await asyncio.to_thread(created.stream._response.close)
        except Exception as error:
            # The run fails of it too, and tells; the engine may have made what it did not answer of.
            removed = isinstance(error, RunFailed | APIError)
        finally:
            self._owned.end(work)
            if not removed:
                self._clean_up_later()


@dataclass(slots=True)
class _Created:
    """A container, made and not yet started, and the stream of what it prints; a new one once the engine was away."""

    container: Any
    stream: Any
    guard: Any = None
    """The container whose network it shares, if it has one."""


def _create(client: Any, image_id: str, options: dict[str, Any], guard_seccomp: str | None) -> _Created:
    """Create a container, with a network if the guard of it is given a profile of system calls. Blocks."""
    guard = start_guard(client, options["labels"], guard_seccomp) if guard_seccomp is not None else None
    container = None
    try:
        network = {"network_mode": f"container:{guard.id}"} if guard is not None else {}
        container = client.containers.create(image_id, **{**options, **network})
        check_user(container, options["user"])
        return _Created(container, container.attach(stream=True, demux=True), guard)
    except BaseException:
        for made in (container, guard):
            if made is not None:
                remove(made)
        raise


def _wants_network(work: Work) -> bool:
    return work.container_spec.get("network") == "bridge"
