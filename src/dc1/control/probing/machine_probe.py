"""The probe of one machine, from the first word to the measurement."""

import asyncio
import math
import os
import secrets
import time
from collections.abc import Sequence
from typing import TypeVar

from dc1.control.fleet.provider import Provider
from dc1.control.probing.channels import PolledChannel, ProbeChannel
from dc1.control.scheduling.probe_messages import (
    Begin,
    End,
    Leaves,
    Open,
    Prepare,
    ProbeMessage,
    Ready,
    Roots,
    Said,
    Unable,
)
from dc1.domain.probe.commitment import OpenedLeaf, roots_fault
from dc1.domain.probe.rounds import Cell, Kind, Round, first_round, leaves_of, random_cells, sized_round
from dc1.domain.providers.measurements import Device, Measurement

_SEED_BYTES = 32
_PREPARE_SECONDS = 60.0
"""Loading a library onto a GPU takes its time, and nothing is timed meanwhile."""

_ROUND_SECONDS = 8.0
"""A machine that is sized for a second or two and takes longer has something else to do, or nothing to compute with."""

_OPEN_SECONDS = 8.0
_LOOK_SECONDS = 0.2
"""How soon it is noticed that the machine got work."""


def longest_seconds(message: ProbeMessage) -> float:
    """Return how long an answer is waited for."""
    return _PREPARE_SECONDS if isinstance(message, Prepare) else max(_ROUND_SECONDS, _OPEN_SECONDS)


T = TypeVar("T", Ready, Roots, Leaves)


class ProbeStoppedError(Exception):
    """The probe could not go on, which says nothing of the machine; `again` that it shall be tried when it is idle."""

    def __init__(self, reason: str, *, again: bool = False) -> None:
        super().__init__(reason)
        self.again = again


class ProbeFailedError(Exception):
    """The daemon said what cannot be, or said it too late: it was caught at pretending."""


class ProbeLateError(ProbeFailedError):
    """The daemon said it too late, which a machine or a network that stalls does too, if not again and again."""


class MachineProbe:
    """One probe. The clock is the server's and monotonic; what the daemon says of time is not asked for.

    `scores` are what was proved by each kind of round, `took` the seconds that the rounds took.
    """

    def __init__(self, provider: Provider, channel: ProbeChannel) -> None:
        self.id = secrets.token_hex(8)
        self.provider = provider
        self.channel = channel
        self.scores: dict[Kind, float] = {}
        self.took: dict[Kind, float] = {}
        self._table_seed = secrets.token_bytes(_SEED_BYTES)
        self._device, self._integer_products = Device.CPU, False
        self._number = 0
        self._began = time.monotonic()
        self._sized: dict[Kind, Round] = {}
        self._awaited: tuple[type[Said], int, asyncio.Future[tuple[Said, float]]] | None = None

    # Hearing

    def heard(self, said: Said) -> bool:
        """Take what the daemon says, and tell whether it was waited for: an answer that was given before is not."""
        at = time.monotonic()
        if self._awaited is None:
            return False
        kind, number, answer = self._awaited
        fits = isinstance(said, kind) and getattr(said, "number", number) == number
        if answer.done() or not (fits or isinstance(said, Unable)):
            return False
        answer.set_result((said, at))
        return True

    async def _ask(self, question: Prepare | Begin | Open, answer: type[T], seconds: float) -> tuple[T, float]:
        """Return the answer to a question, and how long it took."""
        waiting: asyncio.Future[tuple[Said, float]] = asyncio.get_running_loop().create_future()
        self._awaited = answer, self._number, waiting
        asked = time.monotonic()
        self.channel.probe(question)
        try:
            while not waiting.done():
                left = asked + seconds - time.monotonic()
                if left <= 0:
                    raise self._lateness(question, seconds)
                await asyncio.wait({waiting}, timeout=min(left, _LOOK_SECONDS))
                # To open is no work, and who knows by now which cells are looked at must not get away by any excuse.
                if not isinstance(question, Open):
                    self._require_idle()
        finally:
            self._awaited = None
        said, at = waiting.result()
        if not isinstance(said, answer):
            assert isinstance(said, Unable)
            if isinstance(question, Open):
                raise ProbeLateError("it did not open what it had committed to")
            raise ProbeStoppedError(said.reason or "the daemon gave no reason")
        return said, at - asked

    def _lateness(self, question: Prepare | Begin | Open, seconds: float) -> Exception:
        # Who polls and does not come again is as lost as a stream, unless it knows by now what is looked at.
        if self._is_polled and not isinstance(question, Open):
            return ProbeStoppedError("it did not come back with an answer in time")
        return ProbeLateError(f"the answer took longer than {seconds:.0f} s")

    @property
    def _is_polled(self) -> bool:
        return isinstance(self.channel, PolledChannel)

    def _require_idle(self) -> None:
        if not self._is_polled and self.provider.presence.stream_lost_ms is not None:
            raise ProbeStoppedError("its stream was lost", again=True)
        # A job is worth more than a measurement of how fast the machine would have been without it.
        if not self.provider.is_idle:
            raise ProbeStoppedError("the machine got work", again=True)

    # Asking

    async def prepare(self) -> None:
        """Have the daemon load what it computes with.

        Raises:
            ProbeStoppedError: It has nothing to compute with, or not on the GPU that it reports.
        """
        try:
            ready, _ = await self._ask(Prepare(self.id, self._table_seed), Ready, _PREPARE_SECONDS)
        except ProbeFailedError as late:
            # Nothing was pretended yet.
            raise ProbeStoppedError(str(late)) from late
        if self.provider.has_gpu and ready.device is not Device.GPU:
            raise ProbeStoppedError("it reports a GPU and would be measured without it")
        self._device, self._integer_products = ready.device, ready.integer_products

    async def size(self, kind: Kind) -> None:
        """Find out by a small round, which proves nothing, how large the one has to be that does."""
        first = first_round(self._device, kind)
        _, seconds = await self._computed(first, secrets.token_bytes(_SEED_BYTES))
        self._sized[kind] = sized_round(self._device, first, seconds)

    async def measure(self, kind: Kind) -> None:
        """Time the round that counts, and check what the daemon committed to.

        Raises:
            ProbeFailedError: It is not what the seed leads to.
        """
        of, seed = self._sized[kind], secrets.token_bytes(_SEED_BYTES)
        said, seconds = await self._computed(of, seed)
        fault = roots_fault(of, said.roots)
        if fault is None:
            cells = random_cells(of)
            question = Open(self.id, self._number, leaves_of(of, cells))
            opened, _ = await self._ask(question, Leaves, _OPEN_SECONDS)
            # Ten milliseconds in which other daemons are heard all the same.
            fault = await asyncio.to_thread(_cells_fault, of, seed, self._table_seed, said.roots, cells, opened.leaves)
        if fault is not None:
            raise ProbeFailedError(fault)
        self.scores[kind], self.took[kind] = of.score(seconds), seconds

    async def _computed(self, of: Round, seed: bytes) -> tuple[Roots, float]:
        self._number += 1
        return await self._ask(Begin(self.id, self._number, of, seed), Roots, _ROUND_SECONDS)

    # Ending

    def measurement(self, now_ms: int) -> Measurement:
        """Return what was proved, once both kinds were measured."""
        return Measurement(
            tops_int8=_three_digits(self.scores[Kind.PRODUCTS]),
            memory_gbps=_three_digits(self.scores[Kind.MEMORY]),
            device=self._device,
            probed_at_ms=now_ms,
            integer_products=self._integer_products,
        )

    @property
    def seconds(self) -> float:
        """How long it has gone on."""
        return round(time.monotonic() - self._began, 1)

    def end(self, outcome: str) -> None:
        """Tell the daemon that it is over, and what came of it."""
        self.channel.probe(End(self.id, outcome))


def _cells_fault(
    of: Round,
    seed: bytes,
    table_seed: bytes,
    roots: Sequence[bytes],
    cells: tuple[Cell, ...],
    opened: Sequence[OpenedLeaf],
) -> str | None:
    # Imported by the first probe and on its thread: a server without daemons needs no numpy, and a loop is not to wait
    # for it. By itself numpy would take a thread for each core, which wait for each other by spinning; sums of this
    # size are done on one before a second has woken up.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from dc1.domain.probe import checking

    return checking.cells_fault(of, seed, table_seed, roots, cells, opened)


def _three_digits(value: float) -> float:
    # The next probe of the same machine differs in the second one already.
    return round(value, 2 - math.floor(math.log10(value))) if value > 0 else 0.0
