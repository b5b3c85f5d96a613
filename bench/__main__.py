"""`python -m bench`: measure, and print what was found."""

import asyncio
import json
import os
import platform
import resource
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from bench.comparison import turns
from bench.completions.measure import measure_completions
from bench.fleets.fleet import measure_fleet, measure_loss
from bench.fleets.replicas import measure_replicas
from bench.lists import measure_lists
from bench.operators.dashboard import measure_dashboard
from bench.operators.overview import measure_overview
from bench.places import ENGINES, Place, places
from bench.profile.measure import measure_profile, profile_table
from bench.reaction import measure_reaction
from bench.report import Figure, as_json, markdown, table
from bench.streams import measure_streams
from bench.throughput import SLOTS, measure_claims, measure_heartbeats, measure_submits

_FILES = 16_384


@dataclass(frozen=True, slots=True)
class Scale:
    """How large and how long; `jobs` are those of the large market, `queue` those that are given out."""

    daemons: int = 2000
    fleet: int = 10_000
    carriers: int = 2
    clients: int = 64
    seconds: float = 6
    samples: int = 200
    providers: int = 10_000
    jobs: int = 100_000
    queue: int = 3000
    small_fleet: int = 100
    small_market: int = 1000
    hold_seconds: float = 15
    callers: tuple[int, ...] = (1, 16, 64)
    rounds: int = 3
    servers: tuple[int, ...] = (1, 2, 4)
    against: str | None = None


QUICK = Scale(
    200, 500, 1, 32, 2, 50, 1000, 5000, 500, small_fleet=20, small_market=100, hold_seconds=5, rounds=2, servers=(1, 2)
)

Measurement = Callable[[Place, Scale], Coroutine[Any, Any, list[Figure]]]

MEASUREMENTS: dict[str, Measurement] = {
    "submits": lambda place, scale: measure_submits(place, scale.clients, scale.seconds),
    "reaction": lambda place, scale: measure_reaction(place, scale.samples),
    "claims": lambda place, scale: measure_claims(place, -(-scale.queue // SLOTS) + 1, scale.queue),
    "heartbeats": lambda place, scale: measure_heartbeats(place, scale.clients, scale.seconds),
    "streams": lambda place, scale: measure_streams(place, [scale.small_fleet, scale.daemons], scale.hold_seconds),
    "fleet": lambda place, scale: measure_fleet(place, scale.fleet, scale.carriers, scale.hold_seconds),
    "loss": lambda place, scale: measure_loss(place, scale.fleet, scale.carriers),
    "replicas": lambda place, scale: measure_replicas(place, scale.servers, scale.seconds),
    "lists": lambda place, scale: measure_lists(place, scale.small_market, scale.clients, scale.seconds),
    "dashboard": lambda place, scale: measure_dashboard(place, [10, scale.providers], [0, scale.jobs], scale.samples),
    "overview": lambda place, scale: measure_overview(place, scale.daemons, scale.hold_seconds, scale.rounds),
    "completions": lambda place, scale: measure_completions(
        place, scale.callers, scale.seconds, scale.rounds, scale.against
    ),
}


_LITELLM = "litellm"


def main(
    context: typer.Context,
    quick: Annotated[bool, typer.Option("--quick", help="Smaller and shorter, to see that it works.")] = False,
    engine: Annotated[list[str] | None, typer.Option(help=f"Only this engine: {', '.join(ENGINES)}.")] = None,
    only: Annotated[
        list[str] | None, typer.Option(help=f"Only this: {', '.join(MEASUREMENTS)}, or a call with --profile.")
    ] = None,
    daemons: Annotated[int | None, typer.Option(help="Streams of the large fleet.")] = None,
    fleet: Annotated[int | None, typer.Option(help="Daemons of the fleet that loses its server.")] = None,
    clients: Annotated[int | None, typer.Option(help="Callers at once where a rate is measured.")] = None,
    seconds: Annotated[float | None, typer.Option(help="How long each rate is measured.")] = None,
    samples: Annotated[int | None, typer.Option(help="Calls of which a latency is measured.")] = None,
    providers: Annotated[int | None, typer.Option(help="Providers of the large market.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Jobs of the large market.")] = None,
    queue: Annotated[int | None, typer.Option(help="Jobs that are given out.")] = None,
    rounds: Annotated[int | None, typer.Option(help="How often each gateway, or checkout, has its turn.")] = None,
    callers: Annotated[list[int] | None, typer.Option(help="Callers of /v1 at once.")] = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="The directory of another checkout, measured in turns with this one; or litellm, a gateway of /v1 that is "
            "measured too, installed for that alone."
        ),
    ] = None,
    profile: Annotated[bool, typer.Option("--profile", help="Print instead where the CPU of a call goes.")] = False,
    as_json_file: Annotated[Path | None, typer.Option("--json", help="Write every number to this file.")] = None,
    markdown_file: Annotated[Path | None, typer.Option("--markdown", help="Write the table to this file.")] = None,
    directory: Annotated[Path, typer.Option(help="Where SQLite's databases are made; the disk counts.")] = Path(
        "build/bench"
    ),
) -> None:
    """Measure the limits of one server behind Envoy, on SQLite and on PostgreSQL, on this machine."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    default = QUICK if quick else Scale()
    if against is not None and against != _LITELLM:
        if profile:
            raise typer.BadParameter("there is nothing in a profile that two checkouts could be compared by")
        _compare(Path(against), rounds or default.rounds, context.params, as_json_file)
        return
    scale = replace(
        default,
        daemons=daemons or default.daemons,
        fleet=fleet or default.fleet,
        clients=clients or default.clients,
        seconds=seconds or default.seconds,
        samples=samples or default.samples,
        providers=providers or default.providers,
        jobs=jobs or default.jobs,
        queue=queue or default.queue,
        rounds=rounds or default.rounds,
        callers=tuple(callers or default.callers),
        against=against,
    )
    console, findings = Console(soft_wrap=True), {}
    with places(engine or ENGINES, directory) as where:
        if profile:
            for place in where:
                found = measure_profile(place, scale.clients, scale.seconds, scale.small_market, only)
                console.print(profile_table(place.engine, asyncio.run(found)))
            return
        for place in where:
            findings[place.engine] = _measure(console, place, scale, only or list(MEASUREMENTS))
    machine = f"One server on {os.cpu_count()} cores of {_processor()}, Python {platform.python_version()}"
    console.print(table(machine, findings))
    if as_json_file is not None:
        as_json_file.write_text(json.dumps(as_json(machine, findings), indent=1))
    if markdown_file is not None:
        markdown_file.write_text(markdown(findings))


def _compare(other: Path, rounds: int, given: Mapping[str, Any], as_json_file: Path | None) -> None:
    ratios = turns.compare(other.resolve(), rounds, [*_arguments(given)])
    Console(soft_wrap=True).print(turns.table(other, ratios))
    if as_json_file is not None:
        as_json_file.write_text(json.dumps(turns.as_json(ratios), indent=1))


def _arguments(given: Mapping[str, Any]) -> Iterator[str]:
    """Return what each run is told, which is what this one was told but for the comparison."""
    for name, value in given.items():
        if name in {"against", "rounds", "as_json_file", "markdown_file"} or not value:
            continue
        for each in value if isinstance(value, list | tuple) else [value]:
            yield f"--{name}"
            if each is not True:
                yield str(each)


def _measure(console: Console, place: Place, scale: Scale, names: list[str]) -> list[Figure]:
    found: list[Figure] = []
    for name in names:
        started = time.perf_counter()
        with console.status(f"{place.engine}: {name} …"):
            figures = asyncio.run(MEASUREMENTS[name](place, scale))
        for figure in figures:
            console.print(f"{place.engine}: {figure.what}: {figure.shown}")
        console.print(f"{place.engine}: {name} took {time.perf_counter() - started:.0f} s", style="dim")
        found += figures
    return found


def _processor() -> str:
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return names[0].partition(": ")[2] if names else platform.machine()


if __name__ == "__main__":
    typer.run(main)
