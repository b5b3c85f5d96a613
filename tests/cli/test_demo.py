"""`dc1 demo`, with the real model."""

import json
import signal
import time
from pathlib import Path

import pytest

from dc1.cli.demo.children import Child
from dc1.cli.errors import CommandError
from dc1.testing.waiting import eventually
from tests.cli.conftest import Start
from tests.cli.processes import is_running

_DEMO_SECONDS = 240.0


@pytest.mark.model
def test_the_demo_shows_the_main_job(start: Start) -> None:
    demo = start("demo", "--json")

    assert demo.process.wait(_DEMO_SECONDS) == 0, demo.stderr
    summary = json.loads(demo.stdout)
    bill = summary["bill"]
    assert bill["provider"] + bill["platform"] == bill["actual"] > 0
    assert bill["actual"] + bill["refund"] == bill["quote"]
    assert summary["earnings"]["total_earned_halala"] == bill["provider"]
    assert summary["dashboard"]["stats"]["completed_jobs"] == 1
    assert summary["streamed_tokens"] > 1
    assert summary["answer"] in demo.stderr


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGQUIT, 131), (signal.SIGKILL, -9)]
)
def test_an_interrupted_demo_leaves_nothing_behind(start: Start, number: signal.Signals, status: int) -> None:
    demo = start("demo")
    demo.says("Envoy and the server answer")
    children = demo.children()

    assert demo.end(number) == status

    assert children
    eventually(lambda: not any(is_running(pid) for pid in children), "the demo's processes ending", 30.0)


def test_a_closed_terminal_ends_the_demo_in_order_however_often_it_says_so(start: Start) -> None:
    demo = start("demo")
    demo.says("Envoy and the server answer")
    children = demo.children()

    # The kernel tells it, and so does the shell, while the clean-up runs.
    for _ in range(5):
        demo.process.send_signal(signal.SIGHUP)
        time.sleep(0.1)

    assert demo.end(signal.SIGHUP) == 129
    assert children
    assert not any(is_running(pid) for pid in children)


def test_a_part_that_ends_early_is_named_with_its_last_words(tmp_path: Path) -> None:
    child = Child(["serve"], {"DC1_GRPC_PORT": "seven"}, tmp_path / "log")

    with pytest.raises(CommandError, match=r"(?s)`dc1 serve` ended with exit code 1\..*DC1_GRPC_PORT"):
        child.until(lambda: None, what="nothing", seconds=60)
