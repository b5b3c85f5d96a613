"""Looks for one card behind several machines of an address, by what they do at the same time and alone."""

import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import combinations

from dc1.control.probing.channels import ProbeChannel
from dc1.control.probing.machine_probe import MachineProbe
from dc1.domain.probe.rounds import Kind
from dc1.domain.probe.shared_cards import SideBySide, is_one_card
from dc1.domain.providers.gpu_models import DATA_SHEETS

_PAIRS_AT_MOST = 8
"""Pairs that are measured again after a joint probe: of a farm whose processor is busy all look alike."""

_TIMES_AGAIN = 2
"""Somebody else's load may hit two machines at once; that it comes with every joint round alone is no chance."""

_CHANCE = random.SystemRandom()

Measure = Callable[[Sequence[ProbeChannel]], Awaitable[list[MachineProbe]]]


class SharedCards:
    """Compares what machines did together with what each does alone, and has those measured again that look like one.

    `measure` probes machines at the same time and returns the probes that were answered to the end.
    """

    def __init__(self, measure: Measure, found: Callable[[MachineProbe, MachineProbe], None]) -> None:
        self._measure = measure
        self._found = found
        # With the hardware: what another card did alone says nothing.
        self._alone: dict[int, tuple[object, Mapping[Kind, float]]] = {}

    async def look(self, probes: Sequence[MachineProbe]) -> None:
        """Learn from probes that ran at the same time, and tell of each pair of machines that have one card."""
        if len(probes) == 1:
            self._learn(probes)
        # A processor has no claim that it could be short of, and a card that nobody knows may be a part of one.
        cards = [probe for probe in probes if probe.provider.named_gpu in DATA_SHEETS]
        if len(cards) < 2:
            return
        for probe in cards:
            if self._scores_alone(probe) is None:
                self._learn(await self._measure([probe.channel]))
        for one, other in self._alike(cards):
            if await self._is_confirmed(one.channel, other.channel):
                self._found(one, other)

    def _alike(self, cards: Sequence[MachineProbe]) -> Iterator[tuple[MachineProbe, MachineProbe]]:
        pairs = [pair for pair in combinations(cards, 2) if self._is_one_card(pair)]
        for pair in _CHANCE.sample(pairs, min(len(pairs), _PAIRS_AT_MOST)):
            if not all(probe.provider.shares_card for probe in pair):
                yield pair

    async def _is_confirmed(self, *channels: ProbeChannel) -> bool:
        # Alone once more, and before: a machine that is busy since is slow alone as well.
        for channel in channels:
            self._learn(await self._measure([channel]))
        for _ in range(_TIMES_AGAIN):
            pair = await self._measure(channels)
            if len(pair) < len(channels) or not self._is_one_card(pair):
                return False
        return True

    def _learn(self, probes: Sequence[MachineProbe]) -> None:
        for probe in probes:
            self._alone[probe.provider.id] = probe.provider.facts.hardware, probe.scores

    def _scores_alone(self, probe: MachineProbe) -> Mapping[Kind, float] | None:
        hardware, scores = self._alone.get(probe.provider.id, (None, None))
        return scores if hardware == probe.provider.facts.hardware else None

    def _is_one_card(self, pair: Sequence[MachineProbe]) -> bool:
        known = [(probe, alone) for probe in pair if (alone := self._scores_alone(probe)) is not None]
        if len(known) < len(pair):
            return False
        # In its products and in its memory: what else a machine does hardly slows both.
        return all(is_one_card([_side_by_side(probe, alone, kind) for probe, alone in known]) for kind in Kind)


def _side_by_side(probe: MachineProbe, alone: Mapping[Kind, float], kind: Kind) -> SideBySide:
    return SideBySide(probe.took[kind], probe.took[kind] * probe.scores[kind] / alone[kind])
