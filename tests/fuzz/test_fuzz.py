"""A short and repeatable `make fuzz`.

No server error, no undocumented status or media type, no answer unlike its schema.
"""

import subprocess

from dc1.testing.market import LocalMarket
from tests.fuzz.campaign import furnish, fuzz


def test_made_up_requests_find_nothing(market: LocalMarket) -> None:
    furnish(market)
    phases = ("--phases", "examples,fuzzing,stateful", "--max-examples", "2", "--seed", "1")
    done = fuzz(market, *phases, "--no-shrink", output=subprocess.PIPE)
    assert done.returncode == 0, done.stdout
    assert "Tested:" in done.stdout
