"""What a container prints, into a lease, on a real engine."""

import gc
import time

import pytest

from dc1.daemon.leases.leases import HeldLease, LeaseState
from dc1.daemon.leases.log_buffer import LogBuffer
from dc1.daemon.leases.running_jobs import LeaseSink
from dc1.daemon.runners.base import RunFailed, Work
from dc1.daemon.runners.container.options import ContainerLimits
from dc1.daemon.runners.container.runner import ContainerRunner
from dc1.domain.jobs.states import ErrorCategory, JobType
from tests.daemon.runners.podman import Engine

pytestmark = pytest.mark.container


async def test_a_program_that_prints_without_an_end_costs_no_core(container_engine: Engine) -> None:
    limits = ContainerLimits(memory_mib=64, cpus=0.5, pids=32, tmp_mib=16, open_files=256)
    runner = ContainerRunner("market.example.sa:443", base_url=container_engine.base_url, limits=limits)
    runner.serve(7, [container_engine.image])
    spec = {"image": container_engine.image, "job_cmd": "yes"}
    work = Work("job-1", 1, JobType.CUSTOM_CONTAINER, 6.0, container_spec={**spec})
    lease = HeldLease(work)
    lease.state = LeaseState.RUNNING
    lease.logs = LogBuffer(max_lines=1_000)
    # What is imported with the first word to an engine, and what a process of ten thousand tests has to collect, is no
    # work of a program that prints.
    await runner.probe()
    gc.disable()
    try:
        used = time.process_time()
        with pytest.raises(RunFailed) as failed:
            await runner.run(work, LeaseSink(lease, changed=lambda: None))
        used = time.process_time() - used
    finally:
        gc.enable()
    assert failed.value.category is ErrorCategory.TIMEOUT
    assert lease.logs.is_cut
    # A second where everything it prints is followed at the speed at which it comes.
    assert used < 0.85
    lease.release()
    await runner.aclose()
