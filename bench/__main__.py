"""`python -m bench`: measure, and print what was found."""

import asyncio
import json
import os
import platform
import resource
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from bench.dashboard import measure_dashboard
from bench.reaction import measure_reaction
from bench.report import Finding, as_json, markdown, show
from bench.streams import measure_streams
from bench.throughput import measure_throughput

_FILES = 16_384


@dataclass(frozen=True, slots=True)
class Scale:
    """How large and how long."""

    small_fleet: int = 100
    hold_seconds: float = 30
    clients: int = 64
    load_seconds: float = 10
    samples: int = 300
    providers: int = 10_000
    jobs: int = 100_000


QUICK = Scale(small_fleet=20, hold_seconds=5, load_seconds=3, samples=60, providers=1_000, jobs=5_000)

Measurement = Callable[[Path, Scale, int], Coroutine[Any, Any, Finding]]

MEASUREMENTS: dict[str, Measurement] = {
    "streams": lambda directory, scale, daemons: measure_streams(
        directory, [scale.small_fleet, daemons], scale.hold_seconds
    ),
    "throughput": lambda directory, scale, _: measure_throughput(directory, scale.clients, scale.load_seconds),
    "reaction": lambda directory, scale, _: measure_reaction(directory, scale.samples),
    "dashboard": lambda directory, scale, _: measure_dashboard(
        directory, [10, scale.providers], [0, scale.jobs], scale.samples
    ),
}


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Smaller and shorter: a minute in all.")] = False,
    daemons: Annotated[int | None, typer.Option(help="Size of the large fleet; 1500, or 200 when quick.")] = None,
    only: Annotated[list[str] | None, typer.Option(help=f"Measure only this: {', '.join(MEASUREMENTS)}.")] = None,
    as_json_file: Annotated[Path | None, typer.Option("--json", help="Write every number to this file.")] = None,
    markdown_file: Annotated[Path | None, typer.Option("--markdown", help="Write the tables to this file.")] = None,
    directory: Annotated[Path, typer.Option(help="Where the databases are made; the disk counts.")] = Path(
        "build/bench"
    ),
) -> None:
    """Measure the limits of one server behind Envoy, on SQLite, on this machine."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    scale, console = QUICK if quick else Scale(), Console(soft_wrap=True)
    findings = []
    for name in only or MEASUREMENTS:
        with console.status(f"measuring {name} …"):
            finding = asyncio.run(MEASUREMENTS[name](directory, scale, daemons or (200 if quick else 1500)))
        show(console, finding)
        findings.append(finding)
    machine = f"{os.cpu_count()} cores of {_processor()}, Python {platform.python_version()}, SQLite, one server"
    if as_json_file is not None:
        as_json_file.write_text(json.dumps(as_json(machine, findings), indent=1))
    if markdown_file is not None:
        markdown_file.write_text(markdown(machine, findings))


def _processor() -> str:
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return names[0].partition(": ")[2] if names else platform.machine()


if __name__ == "__main__":
    typer.run(main)
