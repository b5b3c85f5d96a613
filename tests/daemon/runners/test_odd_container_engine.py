"""A container engine may answer anything: it is then unavailable, or the job fails, and the daemon goes on."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dc1.daemon.leases.leases import HeldLease, LeaseState
from dc1.daemon.leases.running_jobs import RunningJobs
from dc1.daemon.runners.base import RunFailed, Work
from dc1.daemon.runners.container.engine import NoEngineError, connect_engine
from dc1.daemon.runners.container.runner import ContainerRunner
from dc1.daemon.runners.runner_registry import RunnerRegistry
from dc1.domain.jobs.states import JobType

ODD_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def odd_engine(answer: Any, version: Any) -> AbstractContextManager[str]:
    """Answer every call of the Docker API alike, but for its version."""
    return engine(lambda path: (200, version if path.endswith("/version") else answer))


@contextmanager
def engine(answer: Callable[[str], tuple[int, Any]], speaks: str | None = None) -> Iterator[str]:
    """Answer calls of the Docker API by their paths, each with a status and JSON, and the version that it `speaks`."""

    class Handler(BaseHTTPRequestHandler):
        def answer_all(self) -> None:
            status, said = answer(self.path)
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            if speaks is not None:
                self.send_header("Api-Version", speaks)
            self.end_headers()
            self.wfile.write(body)

        def __getattr__(self, name: str) -> Any:
            """Answer every verb alike."""
            if name.startswith("do_"):
                return self.answer_all
            raise AttributeError(name)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"tcp://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("speaks", "asked"), [("1.41", ["/_ping"]), (None, ["/_ping", "/version"])], ids=["one that says it", "another"]
)
def test_an_engine_is_reached_without_all_that_its_version_tells(speaks: str | None, asked: list[str]) -> None:
    paths: list[str] = []

    def answer(path: str) -> tuple[int, Any]:
        paths.append(path)
        return 200, {"ApiVersion": "1.41"}

    with engine(answer, speaks) as url, contextlib.closing(connect_engine(url)) as client:
        assert client.api.api_version == "1.41"
    assert paths == asked


@pytest.mark.parametrize("speaks", ["", "soon", "0.1"])
def test_an_engine_that_speaks_what_nobody_does_is_none(speaks: str) -> None:
    with engine(lambda _: (200, {}), speaks) as url, pytest.raises(NoEngineError):
        connect_engine(url)


async def outcome_of(url: str) -> RunFailed:
    """Look at the engine and run a job on it, as the daemon does."""
    runner = ContainerRunner("market", base_url=url)
    registry = RunnerRegistry([runner])
    registry.serve(7, ["dc1/trainer:1"])
    await registry.probe()
    work = Work("job-1", 1, JobType.TRAINING, deadline=10.0, container_spec={"image": "dc1/trainer:1"})
    lease = HeldLease(work)
    lease.state = LeaseState.RUNNING
    ended = asyncio.Event()
    jobs = RunningJobs(changed=lambda: ended.set() if lease.state is LeaseState.ENDED else None, doubted=lambda: None)
    jobs.start(lease, runner, 10.0)
    await asyncio.wait_for(ended.wait(), 20)
    await registry.aclose()
    assert lease._ended is not None
    assert isinstance(lease._ended.end, RunFailed)
    return lease._ended.end


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ODD_JSON, st.just({"ApiVersion": "1.41", "Version": "1"}) | ODD_JSON)
def test_whatever_it_answers_is_the_end_of_one_job(answer: Any, version: Any) -> None:
    with odd_engine(answer, version) as url:
        asyncio.run(outcome_of(url))


async def test_a_container_that_goes_while_it_is_looked_at_makes_no_engine_unavailable() -> None:
    """Podman lists it, and says 500 and not 404 of it by the time somebody asks for more."""
    listed = {"Id": "8fb6bbfa0ef2", "Labels": {"dc1.job_id": "job-1", "dc1.attempt": "1"}}

    def answer(path: str) -> tuple[int, Any]:
        known = {"/version": {"ApiVersion": "1.41", "Version": "4.3.1"}, "/info": {"SecurityOptions": ["name=seccomp"]}}
        for end, said in known.items():
            if path.endswith(end):
                return 200, said
        return (200, [listed]) if "/containers/json" in path else (500, {"message": "no such container"})

    with engine(answer) as url:
        runner = ContainerRunner("market", base_url=url)
        runner.serve(7, ["dc1/trainer:1"])
        found = await runner.probe()
        await runner.aclose()
    assert found.available, found.reason
