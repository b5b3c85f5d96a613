"""`python -m tests.economy --jobs 10000`: what cheats gain, and what honest people lose, in a market of hours.

Renters and owners of every kind on the real control plane and database, without a network: time is moved, so that an
hour takes a minute. An operator follows the alerts. Ends with what everybody has beyond what is due, and with status 1
where a cheat gains or somebody honest loses more than the rounding of a bill, one halala a job. Where most machines
cheat (`--cheats 0.7`), it is the honest ones that stand out, and an operator who only follows alerts stops them.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
from functools import partial
from pathlib import Path

from dc1.storage.engine.database import Database, normalised
from dc1.storage.engine.migrate import upgrade
from tests.economy.economy import Economy
from tests.economy.reckoning import Reckoning


async def _run(url: str, chosen: argparse.Namespace) -> Reckoning:
    economy = Economy(Database.open(url), chosen.seed)
    try:
        await economy.populate(chosen.renters, chosen.machines, chosen.cheats)
        return await economy.run(chosen.jobs, partial(print, flush=True, file=sys.stderr))
    finally:
        await economy.market.db.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.economy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=10_000, help="how many are ordered (%(default)s)")
    parser.add_argument("--renters", type=int, default=200, help="how many there are (%(default)s)")
    parser.add_argument("--machines", type=int, default=50, help="how many there are (%(default)s)")
    parser.add_argument(
        "--cheats", type=float, default=0.1, help="their share on each side, as many of each kind (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="chooses who does what")
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dc1-economy-") as directory:
        url = f"sqlite:///{Path(directory) / 'dc1.sqlite3'}"
        upgrade(normalised(url))
        reckoning = asyncio.run(_run(url, chosen))
    print(json.dumps(reckoning.numbers, indent=1) if chosen.json else f"seed {chosen.seed}\n{reckoning}")
    sys.exit(1 if reckoning.unfair else 0)


if __name__ == "__main__":
    main()
