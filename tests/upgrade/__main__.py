"""`python -m tests.upgrade --before REVISION`: servers are replaced by this checkout's while everybody goes on.

Two servers of the commit before run on one PostgreSQL behind two edges; renters submit, read, chat and follow jobs, an
operator looks on and follows the queue, and daemons work. One server is replaced by ours, which brings the tables up to
date, then the other, and then each edge. Ends with status 1 when a call failed or was answered in part, a line of a job
was missed or came twice, a job did not end once, or the books do not balance.
"""

import argparse
import subprocess
import sys
import traceback

from dc1.testing.postgres import PostgresServer
from tests.support.evidence import evidence
from tests.upgrade.replacement import before_the_newest_tables, check_out, replaced_one_by_one


def main() -> int:
    """Returns the exit status: 0 when no call failed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.upgrade", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", metavar="REVISION", help="what runs before; the last commit with other tables")
    chosen = parser.parse_args()
    try:
        with evidence("dc1-upgrade-") as directory:
            try:
                revision = chosen.before or before_the_newest_tables()
                code = check_out(revision, directory / "before")
            except subprocess.CalledProcessError as error:
                print(f"There is no commit here to take older servers from: {error.stderr.decode().strip()}")
                # A checkout without its history can be no judge.
                return 2 if chosen.before else 0
            with PostgresServer.running() as server:
                print(replaced_one_by_one(revision, code, directory, server.create(template="template0")), flush=True)
    except AssertionError:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
