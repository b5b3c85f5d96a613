"""`python -m tests.soak --minutes 10`: a market at work for longer than the tests', and whether it stays as it was.

A server, Envoy and a database; daemons that poll, daemons on streams, and renters who submit, read streams, cancel and
retry. Ends with a verdict, and with status 1 when it is bad: memory and open files flat after the warm-up, no error in
the log of the server, of Envoy or of a daemon, no answer that a client did not expect, every acknowledged job ended,
the books balanced. Ctrl-C is an early closing time.
"""

import argparse
import functools
import json
import random
import resource
import sys
from contextlib import nullcontext
from pathlib import Path

from dc1.testing.postgres import PostgresServer
from tests.soak.soak import Scale, soak
from tests.support.evidence import evidence

_FILES = 16_384


def main() -> None:
    usual = Scale()
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--minutes", type=float, default=usual.seconds / 60, help="how long renters submit (%(default)s)"
    )
    parser.add_argument("--http-daemons", type=int, default=usual.http_daemons, help="that poll (%(default)s)")
    parser.add_argument("--stream-daemons", type=int, default=usual.stream_daemons, help="on streams (%(default)s)")
    parser.add_argument(
        "--renters", type=int, default=usual.renters, help="each with up to eight jobs a minute (%(default)s)"
    )
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="chooses who does what")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number to this file")
    chosen = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    scale = Scale(chosen.minutes * 60, chosen.http_daemons, chosen.stream_daemons, chosen.renters)
    with (
        evidence("dc1-soak-") as directory,
        PostgresServer.running() if chosen.engine == "postgresql" else nullcontext() as postgres,
    ):
        report = soak(directory, scale, chosen.seed, postgres, functools.partial(print, flush=True))
        print(report)
        if chosen.json is not None:
            chosen.json.write_text(json.dumps(report.numbers, indent=1))
        if report.failures:
            print(f"  every process's log is in {directory}")
            sys.exit(1)


if __name__ == "__main__":
    main()
