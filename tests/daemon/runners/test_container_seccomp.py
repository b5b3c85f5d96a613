"""What a program in a container may ask of the kernel: a real engine, and the profile that is shipped."""

import json
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest

from dc1.daemon.runners.base import Work
from dc1.daemon.runners.container.engine import SECCOMP_PROFILE, NoEngineError, traits
from dc1.daemon.runners.container.options import ContainerLimits
from dc1.daemon.runners.container.runner import ContainerRunner
from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.jobs.states import JobType
from tests.daemon.runners.podman import Engine, python_command
from tests.daemon.runners.sinks import RecordingSink

LIMITS = ContainerLimits(memory_mib=128, cpus=1, pids=64, tmp_mib=16, open_files=256)

# Numbers of x86-64, and of arm64 where they differ, for the standard library has no names of system calls.
_CALLS = {
    "add_key": (248, 217),
    "bpf": (321, 280),
    "clone3": (435, 435),
    "fsopen": (430, 430),
    "init_module": (175, 105),
    "io_uring_setup": (425, 425),
    "kcmp": (312, 272),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "mount": (165, 40),
    "move_mount": (429, 429),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "prlimit64": (302, 261),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "request_key": (249, 218),
    "setns": (308, 268),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
}
_CLONE, _PERSONALITY = (56, 135) if os.uname().machine == "x86_64" else (220, 92)
_NAMESPACES = {"user": 0x10000000, "mount": 0x00020000, "network": 0x40000000, "pid": 0x20000000}

_PROGRAM = """
import ctypes, errno, json, socket
libc = ctypes.CDLL(None, use_errno=True)

def answer(number, *arguments):
    ctypes.set_errno(0)
    done = libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments)) != -1
    return "done" if done else errno.errorcode[ctypes.get_errno()]

found = {name: answer(number, 0, 0, 0, 0, 0) for name, number in CALLS.items()}
for name, flag in NAMESPACES.items():
    found["unshare " + name] = answer(CALLS["unshare"], flag)
    found["clone " + name] = answer(CLONE, flag | 17, 0, 0, 0, 0)
found["personality without randomised addresses"] = answer(PERSONALITY, 0x0040000)
found["personality"] = answer(PERSONALITY, 0xffffffff)
for name, family in (("vsock", 40), ("alg", 38), ("packet", 17), ("unix", 1), ("inet6", 10), ("netlink", 16)):
    try:
        socket.socket(family, socket.SOCK_RAW if family == 16 else socket.SOCK_STREAM).close()
        found[name] = "done"
    except OSError as error:
        found[name] = errno.errorcode[error.errno]
PRLIMIT, CPU, NOFILE = CALLS["prlimit64"], 0, 7
told, limit = (ctypes.c_ulong * 2)(), (ctypes.c_ulong * 2)(100, 100)
for name, resource, new, old in (
    ("read the limit of processor time", CPU, None, told),
    ("lower the limit of processor time", CPU, limit, None),
    ("lower it with bits that the kernel drops", CPU | 1 << 32, limit, None),
    ("lower another limit", NOFILE, limit, None),
):
    found[name] = answer(PRLIMIT, 0, resource, *(0 if at is None else ctypes.addressof(at) for at in (new, old)))
print("DC1_RESULT_JSON:" + json.dumps(found))
"""


@pytest.fixture
async def runner(container_engine: Engine, python_image: str) -> AsyncIterator[ContainerRunner]:
    runner = ContainerRunner("market.example.sa:443", base_url=container_engine.base_url, limits=LIMITS)
    runner.serve(7, [container_engine.image, python_image])
    yield runner
    await runner.aclose()


async def outcome(runner: ContainerRunner, image: str, command: JsonValue) -> JsonObject | str:
    spec: JsonObject = {"image": image, "job_cmd": command}
    work = Work("job-1", 1, JobType.CUSTOM_CONTAINER, 60, container_spec=spec)
    return (await runner.run(work, RecordingSink())).payload


@pytest.mark.container
async def test_a_user_namespace_gives_no_capability(runner: ContainerRunner, container_engine: Engine) -> None:
    script = "unshare -Urm cat /proc/self/status 2>&1 || echo refused"
    said = await outcome(runner, container_engine.image, script)
    assert "CapEff" not in str(said)
    assert str(said).endswith("refused")


@pytest.mark.container
async def test_ways_out_of_a_container_are_shut_and_what_programs_need_is_open(
    runner: ContainerRunner, python_image: str
) -> None:
    column = 0 if os.uname().machine == "x86_64" else 1
    names = {
        "CALLS": {name: numbers[column] for name, numbers in _CALLS.items()},
        "NAMESPACES": _NAMESPACES,
        "CLONE": _CLONE,
        "PERSONALITY": _PERSONALITY,
    }
    program = "\n".join(f"{name} = {value!r}" for name, value in names.items()) + _PROGRAM
    found = await outcome(runner, python_image, python_command(program))
    assert isinstance(found, dict)
    open_still = {name for name, answer in found.items() if answer not in ("EPERM", "ENOSYS")}
    assert open_still == {
        *("personality", "unix", "inet6", "netlink"),
        *("prlimit64", "read the limit of processor time", "lower another limit"),
    }
    # The C library falls back to clone for this answer only.
    assert found["clone3"] == "ENOSYS"


class _Engine:
    """An engine that says what a real one of its kind says of itself."""

    def __init__(self, component: str, security: list[str] | None) -> None:
        self._component, self._security = component, security

    def version(self) -> dict[str, Any]:
        return {"Version": "1", "Components": [{"Name": self._component}]}

    def info(self) -> dict[str, Any]:
        return {"SecurityOptions": self._security, "Runtimes": {"runc": {}}}


def test_each_engine_is_given_the_profile_in_its_own_form() -> None:
    docker = traits(_Engine("Engine", ["name=seccomp,profile=builtin", "name=cgroupns"]))
    assert json.loads(docker.seccomp)["defaultAction"] == "SCMP_ACT_ERRNO"
    podman = traits(_Engine("Podman Engine", ["name=seccomp,profile=default"]))
    assert podman.seccomp == str(SECCOMP_PROFILE)


@pytest.mark.parametrize("security", [None, [], ["name=apparmor"]])
def test_an_engine_without_seccomp_is_no_engine(security: list[str] | None) -> None:
    with pytest.raises(NoEngineError, match="seccomp"):
        traits(_Engine("Engine", security))


def test_the_profile_allows_what_it_names_and_nothing_twice() -> None:
    profile = json.loads(SECCOMP_PROFILE.read_text(encoding="utf-8"))
    rules = [(name, rule["action"], bool(rule["args"])) for rule in profile["syscalls"] for name in rule["names"]]
    allowed = {name for name, action, _ in rules if action == "SCMP_ACT_ALLOW"}
    refused = {name for name, action, _ in rules if action == "SCMP_ACT_ERRNO"}
    assert not allowed & refused
    # With subordinate architectures the calls of 32-bit programs would come in as well.
    assert [arch["subArchitectures"] for arch in profile["archMap"]] == [[], []]
    by_argument = {name for name, _, has_arguments in rules if has_arguments}
    assert by_argument == {"clone", "socket", "socketpair", "personality", "setrlimit", "prlimit64"}
