"""`python -m tests.chaos --faults 300 --engine postgresql --seed 7`: a longer storm than the tests'.

Stops by itself. When a promise is broken, says which, with the seed, and leaves every process's log where it was
written.
"""

import argparse
import random
import sys
import traceback

from tests.chaos.databases import DATABASES
from tests.chaos.storm import unleash
from tests.support.evidence import evidence


def main() -> int:
    """Returns the exit status: 0 when every storm was weathered."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faults", type=int, default=300, help="how many faults strike on each engine (300)")
    parser.add_argument(
        "--engine",
        choices=(*DATABASES, "all"),
        default="all",
        help="standby: two PostgreSQL, one of which is promoted; pooler: behind PgBouncer, by transaction",
    )
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="chooses victims and moments")
    chosen = parser.parse_args()
    engines = tuple(DATABASES) if chosen.engine == "all" else (chosen.engine,)
    weathered = [_weathered(engine, chosen.faults, chosen.seed) for engine in engines]
    return int(not all(weathered))


def _weathered(engine: str, faults: int, seed: int) -> bool:
    print(f"chaos on {engine}, seed {seed}: {faults} faults …", flush=True)
    try:
        with evidence("dc1-chaos-") as directory, DATABASES[engine](directory) as place:
            print(unleash(directory, faults, seed, place), flush=True)
    except AssertionError:
        traceback.print_exc()
        print(f"FAILED; once more: python -m tests.chaos --engine {engine} --faults {faults} --seed {seed}", flush=True)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
