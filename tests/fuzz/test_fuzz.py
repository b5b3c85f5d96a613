"""A short and repeatable `make fuzz`: no server error, no undocumented status or media type, no answer unlike its schema."""

import subprocess

from tests.fuzz.campaign import furnish, fuzz
from tests.stack.stack import Stack


def test_made_up_requests_find_nothing(stack: Stack) -> None:
    furnish(stack)
    phases = ("--phases", "examples,fuzzing,stateful", "--max-examples", "4", "--seed", "1")
    done = fuzz(stack, *phases, "--no-shrink", output=subprocess.PIPE)
    assert done.returncode == 0, done.stdout
    assert "Tested:" in done.stdout
