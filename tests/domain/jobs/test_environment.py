"""Which environment variables a job may set."""

import pytest

from tests.domain.jobs.test_submission import order, refusal


@pytest.mark.parametrize(
    "name",
    [
        "NVIDIA_VISIBLE_DEVICES",
        "NVIDIA_DRIVER_CAPABILITIES",
        "NVIDIA_REQUIRE_CUDA",
        "nvidia_mofed",
        " NVIDIA_GDS",
        "CUDA_VISIBLE_DEVICES",
        "CUDA_VERSION",
        "CUDA_MPS_PIPE_DIRECTORY",
        "ROCR_VISIBLE_DEVICES",
        "HIP_VISIBLE_DEVICES",
        "AMD_VISIBLE_DEVICES",
        "GPU_DEVICE_ORDINAL",
        "ONEAPI_DEVICE_SELECTOR",
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "LD_AUDIT",
        "GLIBC_TUNABLES",
        "_LIBCONTAINER_INITPIPE",
    ],
)
def test_variables_that_steer_the_machines_software_are_refused(name: str) -> None:
    error = refusal(env_vars={"MODE": "fast", name: "all"})
    assert error.status == 400
    assert [(found.field, found.message) for found in error.fields] == [
        (f"env_vars.{name}", "must not be set by a job")
    ]


def test_refused_variables_are_named_shortly() -> None:
    error = refusal(env_vars={f"LD_{number}{'X' * 1000}": "" for number in range(100)})
    assert len(error.fields) == 10
    assert all(len(found.field) < 80 for found in error.fields)


def test_other_variables_are_a_jobs_own() -> None:
    own = {
        "PATH": "/bin",
        "PYTHONPATH": "/a",
        "CUDA_LAUNCH_BLOCKING": "1",
        "HOME": "/tmp",
        "OLD_NAME": "",
        "NCCL_DEBUG": "INFO",
    }
    assert order(env_vars=own).env_vars == own
