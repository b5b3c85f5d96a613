"""What daemons get to know of a container is what is documented, whatever a renter sends."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.jobs.container_spec import (
    daemon_container_spec,
    handed_out_container_spec,
    streamed_container_spec,
)

SPEC: JsonObject = {
    "image_type": "custom",
    "vram_required_mb": 0,
    "gpu_count": 1,
    "compute_type": "inference",
    "pricing_class": "standard",
}
IMAGES = {"pytorch": "docker.io/pytorch/pytorch:2"}
POLLED = {*SPEC, "image", "job_cmd", "network", "pids_limit", "enable_checkpoint", "memory_mb", "cpus"}
DANGEROUS: JsonObject = {
    "privileged": True,
    "Privileged": True,
    "network_mode": "host",
    "NetworkMode": "host",
    "networkMode": "host",
    "HostConfig": {"Privileged": True, "Binds": ["/:/host"]},
    "host_config": {"privileged": True},
    "binds": ["/:/host"],
    "mounts": [{"type": "bind", "source": "/", "target": "/host"}],
    "volumes": {"/": {"bind": "/host", "mode": "rw"}},
    "volumes_from": ["dc1-daemon"],
    "devices": ["/dev/mem:/dev/mem:rwm"],
    "device_cgroup_rules": ["a *:* rwm"],
    "device_requests": [{"count": -1}],
    "cap_add": ["ALL"],
    "capAdd": ["SYS_ADMIN"],
    "security_opt": ["seccomp=unconfined"],
    "userns_mode": "host",
    "pid_mode": "host",
    "pidMode": "host",
    "ipc_mode": "host",
    "uts_mode": "host",
    "cgroup_parent": "/",
    "cgroupns": "host",
    "runtime": "other",
    "user": "0",
    "entrypoint": ["/bin/sh"],
    "sysctls": {"kernel.msgmax": "1"},
    "extra_hosts": {"a": "127.0.0.1"},
    "ports": {"22/tcp": 22},
    "publish_all_ports": True,
    "read_only": False,
    "shm_size": "1t",
    "oom_kill_disable": True,
    "ulimits": [{"name": "nofile", "hard": 2**30}],
    "tmpfs": {"/": "exec"},
    "docker_args": "--privileged -v /:/host",
    "extra_args": ["--net=host"],
    "environment": {"LD_PRELOAD": "/x"},
    "env": {"LD_PRELOAD": "/x"},
}


def polled(spec: JsonObject, params: JsonObject | None = None, job_type: str = "custom_container") -> JsonObject:
    return handed_out_container_spec(job_type, {**SPEC, **spec}, params, IMAGES)


@pytest.mark.parametrize("name", DANGEROUS)
def test_what_an_engine_would_read_reaches_no_daemon(name: str) -> None:
    sent: JsonObject = {name: DANGEROUS[name]}
    nested: JsonObject = {"container_spec": sent, "extra": sent, "job_cmd": sent, "image_type": "custom"}
    for spec in (sent, nested):
        assert daemon_container_spec({**SPEC, **spec}) == SPEC
        inputs: list[JsonObject | None] = [None, sent, nested, {"command": sent}]
        for params in inputs:
            assert polled(spec, params) == polled({})


@pytest.mark.parametrize("network", ["host", "container:dc1", "default", "Bridge", " host", ["host"], {"mode": "host"}])
def test_only_the_networks_there_are_are_passed_on(network: Any) -> None:
    assert "network" not in daemon_container_spec({**SPEC, "network": network})
    assert polled({"network": network})["network"] == "none"
    assert polled({"network": network}, job_type="vllm_serve")["network"] == "bridge"


def test_a_daemon_that_polls_is_told_the_network_by_the_kind_of_job() -> None:
    """Its owner has no switch for it; on the stream the daemon has one."""
    assert daemon_container_spec({**SPEC, "network": "bridge"})["network"] == "bridge"
    assert polled({"network": "bridge"})["network"] == "none"


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"pids_limit": 64}, {"pids_limit": 64}),
        ({"pids_limit": 10**9}, {"pids_limit": 512}),
        ({"pids_limit": -1}, {"pids_limit": 512}),
        ({"pids_limit": 0}, {"pids_limit": 512}),
        ({"pids_limit": "unlimited"}, {"pids_limit": 512}),
        ({"memory_mb": 10**12}, {"memory_mb": 1_048_576}),
        ({"memory_mb": -1}, {}),
        ({"memory_mb": "8g"}, {}),
        ({"cpus": 0.5}, {"cpus": 0.5}),
        ({"cpus": 10**6}, {"cpus": 1024}),
    ],
)
def test_bounds_of_a_job_are_bounded(sent: JsonObject, told: JsonObject) -> None:
    assert {name: value for name, value in polled(sent).items() if name in sent} == told


def test_what_is_documented_arrives() -> None:
    spec: JsonObject = {"image": "docker.io/library/busybox:1", "job_cmd": ["echo", "hi"], "enable_checkpoint": True}
    assert daemon_container_spec({**SPEC, **spec}) == {**SPEC, **spec}
    assert polled(spec) == {**SPEC, **spec, "network": "none", "pids_limit": 512}
    assert polled({"command": "ls"}, {"command": "id"})["job_cmd"] == "ls"
    assert polled({}, {"command": "id", "image_override": "docker.io/a/b"}) == {
        **SPEC,
        "image": "docker.io/a/b",
        "job_cmd": "id",
        "network": "none",
        "pids_limit": 512,
    }


def test_an_image_type_is_no_image() -> None:
    """It is a free text of the renter's, which nobody approved."""
    spec: JsonObject = {**SPEC, "image_type": "evil/image:latest"}
    assert handed_out_container_spec("custom_container", spec, None, {})["image"] == ""
    assert polled({"image_type": "evil/image:latest"})["image"] == IMAGES["pytorch"]


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_names = st.sampled_from([*DANGEROUS, "network", "pids_limit", "memory_mb", "cpus", "job_cmd", "command"]) | st.text()


@given(st.dictionaries(_names, _json, max_size=6), st.dictionaries(_names, _json, max_size=4))
def test_no_key_and_no_shape_of_a_value_gets_through(spec: JsonObject, params: JsonObject) -> None:
    told = polled({**spec, **SPEC}, {**params, "image_override": None})
    assert set(told) <= POLLED
    assert told["network"] in ("none", "bridge")
    limit = told["pids_limit"]
    assert isinstance(limit, int)
    assert 1 <= limit <= 512
    assert not any(isinstance(value, dict) for value in told.values())


def test_what_names_no_image_runs_on_the_stream_what_it_would_run_for_a_daemon_that_polls() -> None:
    """It was refused by the machine for want of an image, as the renter's mistake."""
    named: JsonObject = {"image": "docker.io/library/busybox:1"}

    def streamed(spec: JsonObject, params: JsonObject | None = None, job_type: str = "training") -> JsonValue:
        return streamed_container_spec(job_type, {**SPEC, **spec}, params, IMAGES).get("image")

    for job_type in ("custom_container", "training", "rendering", "image_generation"):
        assert streamed({}, job_type=job_type) == polled({}, job_type=job_type)["image"] == IMAGES["pytorch"]
    assert streamed({}, job_type="llm_inference") is None
    assert streamed({}, {"image_override": "docker.io/a/b"}) is None
    assert streamed(named) == named["image"]
    assert streamed_container_spec("training", SPEC, None, {}) == SPEC
