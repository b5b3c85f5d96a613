"""Where nothing beside the daemon computes, the same program does in an image that has what it needs."""

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dc1.daemon.probe import container_child
from dc1.daemon.probe import probes as probes_module
from dc1.daemon.probe.probes import Probes
from dc1.daemon.runners.container.engine import connect_engine
from dc1.daemon.runners.container.guard_image import python_archive
from dc1.daemon.runners.container.runner import ContainerRunner
from dc1.domain.providers.measurements import Device
from dc1.testing.waiting import eventually
from tests.daemon.probe.test_probes import Probed, right_roots
from tests.daemon.runners.podman import Engine

pytestmark = pytest.mark.container

IMAGE = "localhost/dc1-test/pytorch:latest"
SITE = "/site"
_SONAME = re.compile(r".*?\.so(\.\d+)?")


@pytest.fixture(scope="module")
def image(container_engine: Engine) -> str:
    """The tests' own Python with numpy, and with nothing of this daemon."""
    python = Path(os.path.realpath(sys.executable))
    standard, packages = Path(sysconfig.get_path("stdlib")), Path(np.__file__).parents[1]
    files = {f"{SITE}/{file.relative_to(packages)}": file for file in _files(packages / "numpy")}
    files |= {f"{SITE}/{file.relative_to(packages)}": file for file in _files(packages / "numpy.libs")}
    files |= {str(file): file for file in _files(standard) if "site-packages" not in file.parts}
    files |= {f"/usr/lib/x86_64-linux-gnu/{name}": file for name, file in _shared_libraries()}
    archive = python_archive("json, ctypes, hashlib, zlib", {**files, "/usr/bin/python3": python})
    changes = [f"ENV PYTHONHOME={python.parents[1]}", f"ENV PYTHONPATH={SITE}", "ENV PATH=/usr/bin"]
    with contextlib.closing(connect_engine(container_engine.base_url)) as client:
        client.api.import_image_from_data(archive, repository=IMAGE.rpartition(":")[0], changes=changes)
        client.images.get(IMAGE)
    return IMAGE


def _files(folder: Path) -> list[Path]:
    unwanted = {"tests", "test", "__pycache__", "idlelib", "lib2to3", "ensurepip", "tkinter"}
    return [file for file in folder.rglob("*") if file.is_file() and not unwanted & set(file.parts)]


def _shared_libraries() -> Iterator[tuple[str, Path]]:
    """Yield what numpy's modules need of the machine, as this process has it loaded, by the names they ask for."""
    with Path("/proc/self/maps").open(encoding="utf-8") as maps:
        mapped = {Path(line.split()[-1]) for line in maps if " r-xp " in line and ".so" in line}
    for file in mapped:
        name = _SONAME.match(file.name)
        if name is not None and file.name.startswith("lib") and "site-packages" not in file.parts:
            yield name[0], file


class Contained(Probed):
    """Probes of a daemon beside which nothing computes."""

    def __init__(self, image: str, base_url: str) -> None:
        super().__init__()
        self.probes = Probes(self.said.put_nowait, lambda: self.has_gpu, lambda: (image, base_url))


@pytest.fixture
async def contained(container_engine: Engine, image: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Contained]:
    monkeypatch.setattr(probes_module, "_CHILD", "tests.daemon.probe.nothing_child")
    contained = Contained(image, container_engine.base_url)
    yield contained
    await contained.probes.aclose()


@pytest.fixture
def client(container_engine: Engine) -> Any:
    return connect_engine(container_engine.base_url)


async def test_a_probe_is_computed_in_the_image_and_leaves_nothing_behind(contained: Contained, client: Any) -> None:
    contained.prepare()
    ready = await contained.next("probe_ready")
    assert (ready.device, ready.library) == (Device.CPU, "numpy")
    contained.begin()
    assert list((await contained.next("probe_roots")).roots) == right_roots()
    [container] = client.containers.list()
    settings = container.attrs["HostConfig"]
    assert (settings["NetworkMode"], settings["ReadonlyRootfs"]) == ("none", True)
    contained.probes.interrupt()
    assert (await contained.next("probe_failure")).reason == "the machine got work"
    # By the list alone: Podman answers 500 to who asks about one that it is removing.
    await asyncio.to_thread(eventually, lambda: not client.api.containers(all=True), "the end of the container", 30)


async def test_a_gpu_that_the_container_has_none_of_is_not_measured(contained: Contained) -> None:
    contained.has_gpu = True
    contained.prepare()
    reason = (await contained.next("probe_failure")).reason
    assert reason.startswith("nothing is installed; ")


async def test_an_image_that_is_not_there_is_not_waited_for(
    container_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes_module, "_CHILD", "tests.daemon.probe.nothing_child")
    contained = Contained("localhost/dc1-test/missing-pytorch:1", container_engine.base_url)
    contained.prepare()
    reason = (await contained.next("probe_failure")).reason
    assert reason.endswith("the image localhost/dc1-test/missing-pytorch:1 is not on this machine yet")
    await contained.probes.aclose()


def test_an_image_may_have_an_older_python() -> None:
    """3.10 lacks two names that the program imports."""
    older = "import enum, typing; del enum.StrEnum, typing.Self; " + f"exec({container_child._START!r})"
    arguments = [container_child._program(), container_child._CHILD, Device.CPU.value, "00" * 32]
    program = [sys.executable, "-c", older, *arguments]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as ran:
        assert ran.stdout is not None
        assert json.loads(ran.stdout.readline()) == {"event": "ready", "library": "numpy", "integers": False}
    assert ran.returncode == 0


def test_the_image_is_an_approved_one_with_pytorch(container_engine: Engine) -> None:
    runner = ContainerRunner("market", base_url=container_engine.base_url)
    assert runner.pytorch_image() is None
    runner.serve(7, ["team/tool:1", "pytorch/pytorch:2.1.0-cuda11.8-cudnn8-runtime"])
    found = runner.pytorch_image()
    assert found == ("pytorch/pytorch:2.1.0-cuda11.8-cudnn8-runtime", container_engine.base_url)
