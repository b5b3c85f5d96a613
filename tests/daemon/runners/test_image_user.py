"""Whom an image's user stands for, on a real engine."""

import contextlib
import io
import tarfile

import pytest

from dc1.daemon.runners.base import RunFailed
from dc1.daemon.runners.container.engine import connect_engine
from dc1.daemon.runners.container.runner import ContainerRunner
from dc1.domain.jobs.states import ErrorCategory
from tests.daemon.runners.podman import Engine
from tests.daemon.runners.sinks import RecordingSink
from tests.daemon.runners.test_container import LIMITS, MARKET, container_job

NAMED = "localhost/dc1-test/named:latest"


@pytest.mark.container
@pytest.mark.parametrize(("number", "runs"), [("0", False), ("00", False), ("1234", True)])
async def test_a_user_by_name_is_not_root(container_engine: Engine, number: str, runs: bool) -> None:
    users = io.BytesIO()
    with tarfile.open(fileobj=users, mode="w") as tar:
        line = f"app:x:{number}:{number}::/:/bin/sh\n".encode()
        entry = tarfile.TarInfo("passwd")
        entry.size = len(line)
        tar.addfile(entry, io.BytesIO(line))
    runner = ContainerRunner(MARKET, base_url=container_engine.base_url, limits=LIMITS)
    runner.serve(7, [NAMED])
    work = container_job(container_engine, "id -u", image=NAMED)
    with contextlib.closing(connect_engine(container_engine.base_url)) as client:
        container = client.containers.create(container_engine.image, ["true"])
        container.put_archive("/etc", users.getvalue())
        container.commit(NAMED.rpartition(":")[0], "latest", changes="USER app")
        container.remove()
        if runs:
            assert (await runner.run(work, RecordingSink())).payload == number
        else:
            with pytest.raises(RunFailed, match="the image's user 'app' is root") as failure:
                await runner.run(work, RecordingSink())
            assert failure.value.category is ErrorCategory.INVALID_PARAMS
        assert client.containers.list(all=True) == []
        client.images.remove(NAMED)
    await runner.aclose()
