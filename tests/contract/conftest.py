from collections.abc import Callable

import pytest

from tests.stack.people import Admin, Renter
from tests.stack.poll_daemon import PollDaemon
from tests.stack.rest import Rest
from tests.stack.stack import Stack


@pytest.fixture
def rest(stack: Stack) -> Rest:
    """Anybody."""
    return stack.rest


@pytest.fixture
def admin(stack: Stack) -> Admin:
    """A: the holder of the admin token."""
    return stack.admin


@pytest.fixture
def renter(stack: Stack) -> Renter:
    """R: renter 1, fresh, with 1000 halala."""
    return stack.add_renter()


@pytest.fixture
def provider(stack: Stack) -> PollDaemon:
    """P: provider 1, approved, one GPU, its heartbeat just received."""
    return stack.add_provider()


@pytest.fixture
def finished_job(renter: Renter, provider: PollDaemon) -> Callable[[], int]:
    """Runs a J3 of R on P to its end; returns its id."""

    def finish() -> int:
        job = renter.submit()
        handed_out = provider.next()
        assert handed_out["id"] == job["id"]
        provider.result(job["id"])
        row_id: int = job["id"]
        return row_id

    return finish
