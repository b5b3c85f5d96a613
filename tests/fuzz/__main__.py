"""`python -m tests.fuzz --minutes 30 --seed 7`: requests made up from the OpenAPI document for longer than the tests'."""

import argparse
import random
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

from tests.fuzz.campaign import furnish, fuzz
from tests.stack.stack import Edge, Stack


def main() -> int:
    """Returns the exit status: 0 when nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long to go on (10)")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="repeats the run that printed it")
    parser.add_argument("--workers", type=int, default=2, help="calls at a time (2)")
    parser.add_argument("--log", type=Path, default=Path("build/fuzz.log"), help="the server's log (build/fuzz.log)")
    chosen = parser.parse_args()
    print(f"Seed {chosen.seed}, {chosen.minutes:g} minutes; the server's log is {chosen.log}.", flush=True)
    chosen.log.parent.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="dc1-fuzz-") as directory,
        chosen.log.open("w", encoding="utf-8") as log,
        redirect_stdout(log),
    ):
        edge = Edge(Path(directory))
        stack = Stack(edge, Path(directory))
        try:
            furnish(stack)
            seconds = max(1, round(chosen.minutes * 60))
            done = fuzz(stack, "--seed", str(chosen.seed), "--max-time", str(seconds), "--workers", str(chosen.workers))
        finally:
            stack.close()
            edge.close()
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
