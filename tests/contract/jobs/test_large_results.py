"""What is done with a large result holds nobody else's call up."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dc1.domain.jobs import results
from dc1.services.jobs import output
from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.rest import Rest
from tests.contract.expect import answered

LARGE = {"rows": [{"a": [[[]]], "b": '"\\'}] * 5000}


class Work:
    """Work that lasts until somebody else's call was answered."""

    def __init__(self, real: Callable[..., Any]) -> None:
        self._real = real
        self.begun, self.may_end = threading.Event(), threading.Event()

    def __call__(self, *args: Any, **named: Any) -> Any:
        self.begun.set()
        assert self.may_end.wait(60)
        return self._real(*args, **named)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any, str], Work]]:
    """Makes a function last."""
    made: list[Work] = []

    def make(module: Any, name: str) -> Work:
        made.append(Work(getattr(module, name)))
        monkeypatch.setattr(module, name, made[-1])
        return made[-1]

    yield make
    for work in made:
        work.may_end.set()


def meanwhile(rest: Rest, work: Work, call: Callable[[], Any]) -> Any:
    """Make a call, and one of somebody else while the first is worked on."""
    with ThreadPoolExecutor(1) as callers:
        made = callers.submit(call)
        assert work.begun.wait(60)
        try:
            assert rest.rest("GET", "/health").status_code == 200
        finally:
            work.may_end.set()
        return made.result()


@pytest.mark.parametrize("path", ["/jobs/1/result", "/providers/job-result"])
def test_while_a_polled_result_is_read(
    slow: Callable[[Any, str], Work], rest: Rest, renter: Renter, provider: PollDaemon, path: str
) -> None:
    renter.submit()
    provider.next()
    work = slow(results, "compact")
    body = {"result": LARGE} | ({"job_id": "1", "success": True} if path == "/providers/job-result" else {})
    answered(meanwhile(rest, work, lambda: provider.post(path, body)))
    assert answered(renter.get("/jobs/1/output"))["result"] == LARGE


def test_while_a_streamed_result_is_read(
    slow: Callable[[Any, str], Work], market: LocalMarket, rest: Rest, renter: Renter, provider: PollDaemon
) -> None:
    daemon = market.connect(provider)
    renter.submit()
    lease = daemon.accept(daemon.expect("offer")).lease
    work = slow(results, "compact")
    meanwhile(rest, work, lambda: daemon.finish(lease, LARGE))
    assert answered(renter.get("/jobs/1/output"))["result"] == LARGE


def test_while_an_output_is_written(
    slow: Callable[[Any, str], Work], rest: Rest, renter: Renter, provider: PollDaemon
) -> None:
    renter.submit()
    provider.next()
    answered(provider.post("/jobs/1/result", {"result": LARGE}))
    work = slow(output, "compact")
    assert answered(meanwhile(rest, work, lambda: renter.get("/jobs/1/output")))["result"] == LARGE
