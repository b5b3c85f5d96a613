"""`python -m tests.fuzz --minutes 30 --seed 7`: requests made up from the OpenAPI document for longer than the tests'.

Afterwards there must be no error in the server's log or Envoy's, and the books must balance.
"""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from dc1.server.logs import configure_logging
from dc1.testing.edge import Edge
from dc1.testing.market import LocalMarket
from tests.fuzz.campaign import furnish, fuzz
from tests.support.logs import troubles

_LINES_SHOWN = 20


def main() -> int:
    """Returns the exit status: 0 when nothing was found."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
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
    ):
        configure_logging("json", "INFO", log)
        edge = Edge(Path(directory))
        market = LocalMarket(edge, Path(directory))
        try:
            furnish(market)
            seconds = max(1, round(chosen.minutes * 60))
            done = fuzz(
                market, "--seed", str(chosen.seed), "--max-time", str(seconds), "--workers", str(chosen.workers)
            )
        finally:
            market.close()
            edge.close()
        logs = chosen.log.read_text(encoding="utf-8") + edge.log.read_text(errors="replace")
    errors = list(troubles(logs))
    print(f"{len(errors)} errors in the logs of the server and of Envoy.", *errors[:_LINES_SHOWN], sep="\n")
    return int(done.returncode != 0 or bool(errors))


if __name__ == "__main__":
    sys.exit(main())
