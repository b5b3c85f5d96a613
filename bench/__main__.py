"""`python -m bench`: measure, and print what was found."""

import asyncio
import json
import os
import platform
import resource
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from bench.completions.measure import measure_completions
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
    against: str | None = None


QUICK = Scale(200, 32, 2, 50, 1000, 5000, 500, small_fleet=20, small_market=100, hold_seconds=5, rounds=2)

Measurement = Callable[[Place, Scale], Coroutine[Any, Any, list[Figure]]]

MEASUREMENTS: dict[str, Measurement] = {
    "submits": lambda place, scale: measure_submits(place, scale.clients, scale.seconds),
    "reaction": lambda place, scale: measure_reaction(place, scale.samples),
    "claims": lambda place, scale: measure_claims(place, -(-scale.queue // SLOTS) + 1, scale.queue),
    "heartbeats": lambda place, scale: measure_heartbeats(place, scale.clients, scale.seconds),
    "streams": lambda place, scale: measure_streams(place, [scale.small_fleet, scale.daemons], scale.hold_seconds),
    "lists": lambda place, scale: measure_lists(place, scale.small_market, scale.clients, scale.seconds),
    "dashboard": lambda place, scale: measure_dashboard(place, [10, scale.providers], [0, scale.jobs], scale.samples),
    "overview": lambda place, scale: measure_overview(place, scale.daemons, scale.hold_seconds, scale.rounds),
    "completions": lambda place, scale: measure_completions(
        place, scale.callers, scale.seconds, scale.rounds, scale.against
    ),
}


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Smaller and shorter, to see that it works.")] = False,
    engine: Annotated[list[str] | None, typer.Option(help=f"Only this engine: {', '.join(ENGINES)}.")] = None,
    only: Annotated[
        list[str] | None, typer.Option(help=f"Only this: {', '.join(MEASUREMENTS)}, or a call with --profile.")
    ] = None,
    daemons: Annotated[int | None, typer.Option(help="Streams of the large fleet.")] = None,
    clients: Annotated[int | None, typer.Option(help="Callers at once where a rate is measured.")] = None,
    seconds: Annotated[float | None, typer.Option(help="How long each rate is measured.")] = None,
    samples: Annotated[int | None, typer.Option(help="Calls of which a latency is measured.")] = None,
    providers: Annotated[int | None, typer.Option(help="Providers of the large market.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Jobs of the large market.")] = None,
    queue: Annotated[int | None, typer.Option(help="Jobs that are given out.")] = None,
    rounds: Annotated[int | None, typer.Option(help="How often each gateway of /v1 has its turn.")] = None,
    callers: Annotated[list[int] | None, typer.Option(help="Callers of /v1 at once.")] = None,
    against: Annotated[
        Literal["litellm"] | None, typer.Option(help="Measure this gateway of /v1 too, installed for that alone.")
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
    scale = replace(
        default,
        daemons=daemons or default.daemons,
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
