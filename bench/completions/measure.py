"""How much a market adds to an engine: in time, in processor, and beside what another gateway adds."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import mean

from bench.children import Child
from bench.completions.callers import Heard, call_for
from bench.completions.gateways import Gateway, gateways
from bench.completions.stub_engine import run_engine
from bench.places import Place
from bench.report import Figure, milliseconds, percentile

_WARMING_SECONDS = 1.0


@dataclass
class _Measured:
    """What came of one gateway at so many callers: of all rounds together, and of each."""

    all: Heard = field(default_factory=Heard)
    rounds: list[Heard] = field(default_factory=list)
    cpu: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))


async def measure_completions(
    place: Place, callers: Sequence[int], seconds: float, rounds: int, against: str | None
) -> list[Figure]:
    """Stream answers through each gateway in turns, by so many callers at once."""
    place.directory.mkdir(parents=True, exist_ok=True)
    with Child(run_engine) as engine:
        async with gateways(place, engine.answer(), max(callers), against) as ways:
            for way in ways:
                await call_for(way.port, way.keys, _WARMING_SECONDS)
            found: list[Figure] = []
            for count in callers:
                found += _figures(count, ways, await _in_turns(ways, count, seconds, rounds))
    return found


async def _in_turns(ways: Sequence[Gateway], callers: int, seconds: float, rounds: int) -> list[_Measured]:
    # In turns, for what else a machine does changes from minute to minute.
    measured = [_Measured() for _ in ways]
    for _ in range(rounds):
        for way, one in zip(ways, measured, strict=True):
            before = way.cpu_seconds()
            heard = await call_for(way.port, way.keys[:callers], seconds)
            for name, spent in way.cpu_seconds().items():
                one.cpu[name] += spent - before[name]
            one.rounds.append(heard)
            one.all.plus(heard)
    return measured


def _figures(callers: int, ways: Sequence[Gateway], measured: Sequence[_Measured]) -> Iterator[Figure]:
    head = f"/v1 by {callers} caller{'s' if callers > 1 else ''}"
    names = [way.name for way in ways]

    def beside(what: str, value: Callable[[_Measured], float], show: Callable[[float], str]) -> Figure:
        values = {name: value(one) for name, one in zip(names, measured, strict=True)}
        return Figure(f"{head}: {what}", ", ".join(f"{name} {show(one)}" for name, one in values.items()), values)

    yield beside("answers", lambda one: one.all.answers / one.all.seconds, "{:.1f}/s".format)
    yield beside("first token, p50", lambda one: percentile(one.all.first, 50), milliseconds)
    yield beside("first token, p99", lambda one: percentile(one.all.first, 99), milliseconds)
    yield beside("between tokens, p50", lambda one: percentile(one.all.gaps, 50), milliseconds)
    yield beside("a token from engine to caller, p50", lambda one: percentile(one.all.carried, 50), milliseconds)
    cpu = {f"{name}": spent / one.all.answers for one in measured for name, spent in one.cpu.items()}
    yield Figure(f"{head}: CPU of an answer", ", ".join(f"{name} {milliseconds(of)}" for name, of in cpu.items()), cpu)
    ours = measured[names.index("dc1")]
    for name, other in zip(names, measured, strict=True):
        if name != "dc1":
            yield _beside_other(f"{head}: dc1 as a multiple of {name}", ours, other)


def _beside_other(what: str, ours: _Measured, other: _Measured) -> Figure:
    """Compare round by round, so that each ratio is of two minutes that were alike."""
    pairs = list(zip(ours.rounds, other.rounds, strict=True))
    ratios = {
        "answers": [(a.answers / a.seconds) / (b.answers / b.seconds) for a, b in pairs],
        "first token": [percentile(a.first, 50) / percentile(b.first, 50) for a, b in pairs],
    }
    shown = [f"{name} {mean(each):.2f} ({min(each):.2f} to {max(each):.2f})" for name, each in ratios.items()]
    return Figure(what, ", ".join(shown), {name: mean(each) for name, each in ratios.items()})
