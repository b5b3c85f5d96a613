import os
import subprocess
import sys
import threading
from typing import Any

import pytest

from dc1.daemon import build
from dc1.daemon.build import build_runners
from dc1.daemon.config import DaemonConfig
from dc1.daemon.runners.container.first_process import FirstProcess
from dc1.domain.jobs.states import JobType
from tests.daemon.telemetry.nvml_library import Device, NvmlLibrary


@pytest.mark.parametrize(
    ("settings", "offered"),
    [
        ({}, {JobType.LLM_INFERENCE, JobType.VLLM_SERVE, JobType.CUSTOM_CONTAINER, JobType.BENCHMARK}),
        ({"cpu_engine": False}, {JobType.CUSTOM_CONTAINER, JobType.BENCHMARK}),
        ({"containers": False}, {JobType.LLM_INFERENCE, JobType.VLLM_SERVE, JobType.BENCHMARK}),
        (
            {"cpu_engine": False, "containers": False, "engine_url": "http://127.0.0.1:1"},
            {JobType.LLM_INFERENCE, JobType.VLLM_SERVE, JobType.BENCHMARK},
        ),
    ],
)
async def test_configuration_decides_which_runners_there_are(settings: dict[str, Any], offered: set[JobType]) -> None:
    runners = build_runners(DaemonConfig(key="dc1-provider-secret", server="localhost:8083", **settings))
    kinds = {kind for runner in runners for kind in runner.kinds}
    unlike = {JobType.LLM_INFERENCE, JobType.VLLM_SERVE, JobType.CUSTOM_CONTAINER, JobType.BENCHMARK} - offered
    assert offered <= kinds
    assert not unlike & kinds
    for runner in runners:
        await runner.aclose()


def test_a_daemon_starts_where_modules_of_unix_are_missing() -> None:
    """Docs, limits: only its containers are for Linux."""
    program = (
        "import sys; sys.modules.update(dict.fromkeys(('fcntl', 'resource', 'pwd', 'grp'))); import dc1.cli.daemon"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_no_process_is_taken_hold_of_where_the_kernel_has_no_handles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    first = FirstProcess()
    first.meet(os.getpid(), "")
    assert not first.was_killed()


def test_secrets_are_not_printed_with_the_configuration() -> None:
    config = DaemonConfig(key="dc1-provider-secret", server="localhost:8083", engine_api_key="engine-secret")
    assert "secret" not in repr(config)


async def test_a_driver_that_never_answers_keeps_no_daemon_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = threading.Event()
    library = NvmlLibrary(Device("NVIDIA L40S", "GPU-1")).install(monkeypatch)
    opened = library._functions["nvmlInitWithFlags"]
    monkeypatch.setitem(library._functions, "nvmlInitWithFlags", lambda flags: answers.wait(60) and opened(flags))
    monkeypatch.setattr(build, "DRIVER_SECONDS", 0.1)
    config = DaemonConfig(key="dc1-provider-secret", server="localhost:8083", cpu_engine=False, containers=False)
    assert build.build_agent(config).assignments.slots == 1
    answers.set()
