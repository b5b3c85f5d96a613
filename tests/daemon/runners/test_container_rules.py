"""What a container may have, decided before any engine is asked; and what is read out of its output."""

import json
import time
import tracemalloc

import pytest

from dc1.daemon.runners.base import MAX_RESULT_BYTES, RunFailed, Work
from dc1.daemon.runners.container.gpus import GpuPool
from dc1.daemon.runners.container.options import ContainerLimits, command, create_options, requested_image
from dc1.daemon.runners.container.output import MESSAGE_LIMIT, RESULT_MARKER, ContainerOutput
from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.jobs.states import ErrorCategory, JobType

LIMITS = ContainerLimits(memory_mib=1024, cpus=4.0, pids=100)


def job(params: JsonObject | None = None, env: dict[str, str] | None = None, **spec: JsonValue) -> Work:
    return Work("job-1", 1, JobType.CUSTOM_CONTAINER, 60, params=params or {}, env=env or {}, container_spec=spec)


def options(
    work: Work, image_user: str = "", gpus: tuple[str, ...] = (), volumes: tuple[str, ...] = ()
) -> dict[str, object]:
    return create_options(
        work,
        owner="p",
        daemon="d",
        limits=LIMITS,
        image_user=image_user,
        image_volumes=volumes,
        gpus=gpus,
        seccomp="{}",
    )


def is_of_the_order(failure: RunFailed) -> bool:
    """Whether a failure is laid to what was ordered; any other would cost one provider after the other its score."""
    return failure.category is ErrorCategory.INVALID_PARAMS


@pytest.mark.parametrize(
    ("image_user", "user"),
    [
        ("", "65534:65534"),
        ("0", "65534:65534"),
        ("00", "65534:65534"),
        ("root", "65534:65534"),
        ("0:0", "65534:65534"),
        ("root:wheel", "65534:65534"),
        ("app", "app"),
        ("1000:1000", "1000:1000"),
    ],
)
def test_never_root(image_user: str, user: str) -> None:
    assert options(job(), image_user)["user"] == user


def test_a_job_can_lower_its_limits_but_not_raise_them() -> None:
    assert LIMITS.narrowed({"memory_mb": 512, "cpus": 0.5, "pids_limit": 20}) == ContainerLimits(512, 0.5, 20)
    assert LIMITS.narrowed({"memory_mb": 4096, "cpus": 64, "pids_limit": 1000}) == LIMITS
    assert LIMITS.narrowed({"memory_mb": "lots", "cpus": True, "pids_limit": None}) == LIMITS
    assert LIMITS.narrowed({"memory_mb": -5, "cpus": 0, "pids_limit": 0}) == ContainerLimits(8, 0.01, 16)


def test_containers_side_by_side_have_the_memory_of_one() -> None:
    assert LIMITS.share(1, 4) == ContainerLimits(256, 4.0, 100)
    assert LIMITS.share(3, 4).memory_mib + LIMITS.share(1, 4).memory_mib == LIMITS.memory_mib
    assert LIMITS.share(1, 1) == LIMITS.share(2, 1) == LIMITS


def test_this_machines_limits_leave_the_daemon_room() -> None:
    limits = ContainerLimits.of_this_machine()
    assert limits.memory_mib > 100
    assert limits.cpus >= 1


def test_gpus_are_requested_by_id() -> None:
    requests = options(job(), gpus=("GPU-1", "GPU-2"))["device_requests"]
    assert requests == [
        {"Driver": "", "Count": 0, "DeviceIDs": ["GPU-1", "GPU-2"], "Capabilities": [["gpu"]], "Options": {}}
    ]
    assert options(job())["device_requests"] is None


@pytest.mark.parametrize("env", [{"A=B": "x"}, {"": "x"}, {"A": "\0"}, {"A": "x" * 131_071}])
def test_environment_the_kernel_would_refuse(env: dict[str, str]) -> None:
    with pytest.raises(RunFailed):
        options(job(env=env))


def test_the_daemons_own_variables_win() -> None:
    environment = options(job(env={"DC1_JOB_ID": "forged", "HOME": "/data"}))["environment"]
    assert isinstance(environment, dict)
    assert environment["DC1_JOB_ID"] == "job-1"
    assert environment["HOME"] == "/data"


@pytest.mark.parametrize("name", ["NVIDIA_VISIBLE_DEVICES", "LD_PRELOAD", "CUDA_VISIBLE_DEVICES", "ld_audit"])
def test_what_steers_the_machines_software_is_refused_here_too(name: str) -> None:
    with pytest.raises(RunFailed, match="must not be set", check=is_of_the_order):
        options(job(env={name: "all"}))


def test_a_container_sees_the_gpus_that_were_lent_whatever_its_image_says() -> None:
    assert "'NVIDIA_VISIBLE_DEVICES': 'void'" in str(options(job())["environment"])
    assert "'NVIDIA_VISIBLE_DEVICES': 'GPU-1,GPU-2'" in str(options(job(), gpus=("GPU-1", "GPU-2"))["environment"])


def test_namespaces_are_the_containers_own_and_nothing_runs_beside_the_job() -> None:
    made = options(job())
    assert (made["ipc_mode"], made["cgroupns"], made["healthcheck"]) == ("private", "private", {"test": ["NONE"]})
    assert made["security_opt"] == ["no-new-privileges", "seccomp={}"]


def test_all_that_can_be_written_to_is_memory_of_a_bounded_size() -> None:
    made = options(job(), volumes=("/data", "/var/lib/x/", "/tmp"))
    sized = "rw,nosuid,nodev,mode=1777,size=1024m"
    assert made["tmpfs"] == dict.fromkeys(("/tmp", "/var/tmp", "/run", "/data", "/var/lib/x"), sized)
    assert made["shm_size"] == 1024 * 1024 * 1024
    assert made["read_only"]


@pytest.mark.parametrize(
    "place", ["/", "data", "", "/proc/sys", "/dev", "/a/../sys", "//proc", "/x:exec,size=1t", "/x,dev", "/x\n"]
)
def test_volumes_where_none_can_be_are_refused(place: str) -> None:
    with pytest.raises(RunFailed, match="declares a volume", check=is_of_the_order):
        options(job(), volumes=(place,))


def test_volumes_are_counted() -> None:
    with pytest.raises(RunFailed, match="more than 16 volumes"):
        options(job(), volumes=tuple(f"/v{number}" for number in range(17)))


def test_image_override_wins_over_the_image() -> None:
    assert requested_image(job(image="a/b:1")) == "a/b:1"
    assert requested_image(job(image="a/b:1", image_override="c/d:2")) == "c/d:2"
    assert requested_image(job({"image_override": "e/f:3"}, image="a/b:1", image_override="c/d:2")) == "e/f:3"
    with pytest.raises(RunFailed, match="image is required"):
        requested_image(job())


def test_command_is_a_list_or_a_shell_line() -> None:
    assert command(job(job_cmd=["python", "-c", 1])) == ["python", "-c", "1"]
    assert command(job(command="python train.py")) == ["/bin/sh", "-c", "python train.py"]
    assert command(job({"command": "ls"})) == ["/bin/sh", "-c", "ls"]
    assert command(job()) is None


def test_gpus_go_to_one_container_at_a_time() -> None:
    pool = GpuPool(["GPU-1", "GPU-2"])
    with pool.lend(job(), offered=True) as first:
        assert first == ("GPU-1",)
        with pytest.raises(RunFailed, match="needs 2 GPUs and 1 are free"), pool.lend(job(gpu_count=2), offered=True):
            pass
    with pool.lend(job(gpu_count=2), offered=True) as both:
        assert set(both) == {"GPU-1", "GPU-2"}


def test_a_lost_gpu_is_lent_to_nobody_until_it_is_back() -> None:
    pool = GpuPool(["GPU-1", "GPU-2"])
    with pool.lend(job(), offered=True) as lost:
        assert lost == ("GPU-1",)
        pool.present = ("GPU-2",)
        with pool.lend(job(), offered=True) as other:
            assert other == ("GPU-2",)
        pool.present = ("GPU-1", "GPU-2")
        with pytest.raises(RunFailed, match="1 are free"), pool.lend(job(gpu_count=2), offered=True):
            pass
    with pool.lend(job(gpu_count=2), offered=True) as both:
        assert both == ("GPU-1", "GPU-2")


def test_without_gpus_only_jobs_that_need_none_run() -> None:
    with GpuPool(["GPU-1"]).lend(job(), offered=False) as none:
        assert none == ()
    for needy in (
        job(vram_required_mb=1),
        job(gpu_count=2),
        Work("j", 1, JobType.TRAINING, 60, gpu_requirements={"x": 1}),
    ):
        assert GpuPool([]).refusal(needy, offered=True) == "the job needs a GPU and none can be given to it"
        with pytest.raises(RunFailed, match="needs a GPU"), GpuPool([]).lend(needy, offered=True):
            pass


def test_lines_are_put_together_from_chunks_of_both_streams() -> None:
    output = ContainerOutput()
    assert output.feed(b"he", b"war") == []
    assert output.feed(b"llo\nwor", b"ning\n") == [("info", "hello"), ("warn", "warning")]
    assert output.feed(b"ld\r\n\n", None) == [("info", "world"), ("info", "")]
    assert output.feed("بح".encode()[:3], None) == []
    assert output.feed("بح".encode()[3:], None) == []
    assert output.finish() == [("info", "بح")]
    assert output.result() == "hello\nworld\n\nبح"


def test_long_lines_are_cut_with_a_mark() -> None:
    fits, longer = "x" * MESSAGE_LIMIT, "x" * (MESSAGE_LIMIT + 1)
    assert ContainerOutput().feed(f"{fits}\n".encode(), None) == [("info", fits)]
    ((_, message),) = ContainerOutput().feed(f"{longer}\n".encode(), None)
    assert (len(message), message[-13:]) == (MESSAGE_LIMIT, " … [line cut]")


def test_a_line_of_a_hundred_megabytes_is_one_message_and_its_end_the_result() -> None:
    output = ContainerOutput()
    tracemalloc.start()
    for _ in range(1600):
        assert output.feed(b"y" * 65536, None) == []
    assert len(output.feed(b"the end\n", None)) == 1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 * 2**20
    result = output.result()
    assert isinstance(result, str)
    assert result.endswith("ythe end")
    assert len(result) <= 64 * 1024


def test_a_progress_bar_is_shown_as_it_stands_and_not_with_every_update() -> None:
    now = 0.0
    output = ContainerOutput(lambda: now)
    shown = []
    # An hour of ten updates a second, as tqdm writes them: to standard error, the return before the text.
    for tenth in range(36_000):
        now = tenth / 10
        shown += output.feed(None, f"\r{tenth / 360:.1f}%|#### | {tenth}/36000 [x]".encode())
    assert 600 <= len(shown) <= 721
    assert shown[1] == ("warn", "0.1%|#### | 50/36000 [x]")
    assert output.feed(None, b"\r100%|####|\n") == [("warn", "100%|####|")]
    assert output.result() == ""


@pytest.mark.parametrize(
    ("printed", "shown", "result"),
    [
        (b"10%\r50%\r100%\n", ["100%"], "100%"),
        (b"\r10%\r\n", ["10%"], "10%"),
        (b"90%\r     \r\ndone\n", ["90%", "done"], "90%\ndone"),
        (b"\x1b[2K\x1b[1;32mgreen\x1b[0m\x1b]0;title\x07\tnext\n", ["green\tnext"], None),
        (b"nul\0 bell\x07\n", ["nul bell"], None),
        (b"\xff\xfe\xc3\n", ["\ufffd\ufffd\ufffd"], None),
        (b"no end", ["no end"], "no end"),
        (b"1%\r\r\r\r", ["1%"], "1%"),
        (b"\r" * 100_000 + b"x\n", ["x"], "x"),
    ],
)
def test_lines_are_shown_as_a_terminal_would(printed: bytes, shown: list[str], result: str | None) -> None:
    for step in (len(printed), 1):
        output = ContainerOutput(lambda: 0.0)
        messages = [
            text for at in range(0, len(printed), step) for _, text in output.feed(printed[at : at + step], None)
        ]
        messages += [text for _, text in output.finish()]
        # Byte by byte, a bar is seen before it is full.
        assert messages[-len(shown) :] == shown if step > 1 else messages[-1] == shown[-1]
        assert result is None or output.result() == result


def test_a_bar_that_stands_still_is_shown_once() -> None:
    now = 0.0
    output = ContainerOutput(lambda: now)
    assert output.feed(b"1%\r", None) == [("info", "1%")]
    assert output.feed(b"2%\r", None) == []
    now = 5.0
    assert output.progress() == [("info", "2%")]
    now = 10.0
    assert output.progress() == []
    assert output.finish() == []


def test_a_result_behind_a_progress_bar_is_found() -> None:
    output = ContainerOutput()
    output.feed(f'10%\r100%\r{RESULT_MARKER}{{"n": 1}}\r\n'.encode(), None)
    assert output.result() == {"n": 1}


def test_the_last_marked_result_counts_and_is_not_logged() -> None:
    output = ContainerOutput()
    lines = f'{RESULT_MARKER} {{"n": 1}}\nbetween\n{RESULT_MARKER}{{"n": 2}}\n'
    assert output.feed(lines.encode(), None) == [("info", "between")]
    assert output.result() == {"n": 2}


def test_a_result_of_megabytes_is_kept_whole_and_a_larger_one_refused() -> None:
    fits = ContainerOutput()
    text = "y" * (MAX_RESULT_BYTES - 100)
    for start in range(0, len(text), 65536):
        fits.feed(
            (f'{RESULT_MARKER}{{"image": "' if start == 0 else "").encode() + text[start : start + 65536].encode(), None
        )
    fits.feed(b'"}\n', None)
    assert fits.result() == {"image": text}

    too_large = ContainerOutput()
    too_large.feed(f"{RESULT_MARKER}{json.dumps({'image': 'z' * MAX_RESULT_BYTES})}\n".encode(), None)
    with pytest.raises(RunFailed, match="larger than"):
        too_large.result()


# The last is too deep for the parser, which says so in an error of its own.
@pytest.mark.parametrize("marked", ["[1]", "5", "null", "{oops", "[" * 100_000], ids=range(5))
def test_a_marked_result_must_be_an_object(marked: str) -> None:
    output = ContainerOutput()
    output.feed(f"{RESULT_MARKER}{marked}\n".encode(), None)
    with pytest.raises(RunFailed) as failure:
        output.result()
    assert failure.value.category is ErrorCategory.INVALID_RESULT


def test_empty_lines_are_no_more_of_the_result_than_others() -> None:
    output = ContainerOutput()
    output.feed(b"\n" * 500_000, None)
    assert len(output.result()) <= 64 * 1024


def test_a_line_that_comes_byte_by_byte_is_not_looked_through_for_each() -> None:
    output = ContainerOutput()
    output.feed(b"x" * 1_900_000, None)
    started = time.process_time()
    for _ in range(2_000):
        assert output.feed(b"x", None) == []
    # A look at the whole line for each byte took seconds.
    assert time.process_time() - started < 0.5
    output.finish()
    assert len(output.result()) == 64 * 1024 - 1


def test_text_result_is_the_end_of_the_output() -> None:
    output = ContainerOutput()
    for number in range(20_000):
        output.feed(f"line {number}\n".encode(), None)
    result = output.result()
    assert isinstance(result, str)
    assert result.endswith("line 19999")
    assert len(result) <= 80_000
