"""`python -m tests.chaos --kills 300 --engine postgresql --seed 7`: a longer storm than the tests'."""

import argparse
import random
import tempfile
from pathlib import Path

from tests.chaos.storm import unleash
from tests.stack.postgres import PostgresServer


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=300, help="how many processes are killed on each engine")
    parser.add_argument("--engine", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="chooses victims and moments")
    chosen = parser.parse_args()
    if chosen.engine != "postgresql":
        with tempfile.TemporaryDirectory(prefix="dc1-chaos-") as directory:
            print(unleash(Path(directory), chosen.kills, chosen.seed), flush=True)
    if chosen.engine != "sqlite":
        with tempfile.TemporaryDirectory(prefix="dc1-chaos-") as directory, PostgresServer.running() as postgres:
            print(unleash(Path(directory), chosen.kills, chosen.seed, postgres), flush=True)


if __name__ == "__main__":
    main()
