"""Phases of a call: which part of the tree a stack of calls was in."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable

BENEATH = "gRPC and event loop"
NATIVE = "threads of gRPC's own"

# The innermost frame that is named here says the phase; what libraries do is their caller's.
_PHASES = (
    ("log and audit", re.compile(r"structlog/|dc1/server/(watching/|logs)|dc1/metrics/|prometheus_client/")),
    ("encoding", re.compile(r"google/protobuf/|dc1/server/requests|dc1/services/.*(messages|values)\.py|_write \(")),
    ("rules", re.compile(r"dc1/server/(field_rules|list_words|rate_limits|method_options)")),
    ("pipeline", re.compile(r"dc1/server/|dc1/containment|dc1/tracing|dc1/services/api/")),
    ("storage", re.compile(r"dc1/storage/|sqlalchemy/|psycopg")),
    ("domain", re.compile(r"dc1/domain/")),
    ("control", re.compile(r"dc1/control/")),
    ("services", re.compile(r"dc1/services/")),
    ("daemon", re.compile(r"dc1/daemon/|aiohttp/")),
)
PHASES = (BENEATH, NATIVE, *(name for name, _ in _PHASES))
_THREAD = re.compile(r"thread \((\d+)\)")


def phase_of(frames: Iterable[str]) -> str:
    """Return the phase of a stack, whose frames come from the outermost to the innermost."""
    for frame in reversed(list(frames)):
        for name, pattern in _PHASES:
            if pattern.search(frame):
                return name
    return BENEATH


def shares(stacks: Iterable[str]) -> dict[int, Counter[str]]:
    """Count the samples of each thread by phase, of stacks as py-spy writes them: frames, then how often."""
    found: dict[int, Counter[str]] = {}
    for line in stacks:
        stack, _, times = line.rpartition(" ")
        thread, *frames = stack.split(";")
        if (number := _THREAD.match(thread)) is not None:
            found.setdefault(int(number[1]), Counter())[phase_of(frames)] += int(times)
    return found


def spent_by_phase(cpu_seconds: dict[int, float], stacks: Iterable[str]) -> dict[str, float]:
    """Lay what each thread used on its phases; of those that run no Python only gRPC has any."""
    sampled = shares(stacks)
    spent: defaultdict[str, float] = defaultdict(float)
    for thread, seconds in cpu_seconds.items():
        phases = sampled.get(thread, Counter({NATIVE: 1}))
        whole = phases.total()
        for name, samples in phases.items():
            spent[name] += seconds * samples / whole
    return spent
