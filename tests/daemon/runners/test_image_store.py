"""How much disk the images of jobs may take: on a real engine, and what a pull says of its size."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from dc1.daemon.runners.base import RunFailed
from dc1.daemon.runners.container import image_store
from dc1.daemon.runners.container.engine import connect_engine
from dc1.daemon.runners.container.image_store import MARK, ImageStore
from dc1.domain.base.json_types import JsonObject
from tests.daemon.runners.podman import Engine

NAMES = [f"localhost/dc1-test/pulled-{letter}:1" for letter in "abc"]


@pytest.fixture
def client(container_engine: Engine) -> Iterator[Any]:
    with contextlib.closing(connect_engine(container_engine.base_url)) as client:
        yield client
        for image in client.images.list():
            for tag in image.tags:
                if tag.startswith((MARK, "localhost/dc1-test/pulled-", "localhost/owner")):
                    client.images.remove(tag)


def pull(client: Any, engine: Engine, store: ImageStore, name: str) -> Any:
    """Let an image of one MiB more than the engine's appear under a name, as a pull does."""
    script = ["/bin/sh", "-c", f"echo {name} > /name; dd if=/dev/zero of=/large bs=1M count=1"]
    container = client.containers.create(engine.image, script)
    container.start()
    container.wait()
    container.commit(*name.split(":"))
    container.remove()
    image = client.images.get(name)
    store.pulled(client, image, name)
    return image


def present(client: Any) -> list[str]:
    return [name for name in NAMES if any(name in image.tags for image in client.images.list())]


@pytest.mark.container
def test_the_image_that_was_not_used_for_longest_goes(client: Any, container_engine: Engine) -> None:
    first = pull(client, container_engine, ImageStore(1000), NAMES[0])
    size_mib = first.attrs["Size"] // 1024**2 + 1
    store = ImageStore(2 * size_mib)
    pull(client, container_engine, store, NAMES[1])
    assert present(client) == NAMES[:2]
    # A later daemon reads from the engine what an earlier one pulled, and when it was used.
    store = ImageStore(2 * size_mib)
    store.used(client, client.images.get(NAMES[0]))
    pull(client, container_engine, store, NAMES[2])
    assert present(client) == [NAMES[0], NAMES[2]]
    assert client.images.get(container_engine.image)


@pytest.mark.container
def test_what_a_container_a_job_or_the_owner_uses_stays(client: Any, container_engine: Engine) -> None:
    store = ImageStore(1000)
    _, held, owners = (pull(client, container_engine, store, name) for name in NAMES)
    owners.tag("localhost/owner", "mine")
    container = client.containers.create(NAMES[0], ["true"])
    tight = ImageStore(1)
    with tight.holding(held):
        tight.make_room(client)
    assert present(client) == NAMES[:2]
    assert client.images.get("localhost/owner:mine").id == owners.id
    container.remove()
    tight.make_room(client)
    assert present(client) == []


@pytest.mark.container
def test_an_image_larger_than_the_budget_is_refused_and_removed(client: Any, container_engine: Engine) -> None:
    with pytest.raises(RunFailed, match="larger than the 1 MiB"):
        pull(client, container_engine, ImageStore(1), NAMES[0])
    assert present(client) == []


def test_a_pull_is_stopped_once_it_says_that_it_is_too_large() -> None:
    store, heard = ImageStore(10), dict[str, int]()
    for layer in ("a", "b", "a", "b"):
        step: JsonObject = {
            "id": layer,
            "status": "Downloading",
            "progressDetail": {"current": 1, "total": 5 * 1024**2},
        }
        store.check_progress("x/y:1", heard, step, "/nonexistent")
    with pytest.raises(RunFailed, match="larger than the 10 MiB"):
        store.check_progress("x/y:1", heard, {"id": "c", "progressDetail": {"total": 1}}, "/nonexistent")


@pytest.mark.parametrize("step", [{}, {"progressDetail": None}, {"progressDetail": {"total": "much"}, "id": 5}])
def test_odd_messages_of_a_pull_say_nothing(step: Any) -> None:
    ImageStore(1).check_progress("x/y:1", {}, step, "/nonexistent")


def test_a_pull_is_stopped_before_it_fills_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_store, "_DISK_RESERVE_BYTES", float("inf"))
    with pytest.raises(RunFailed, match="no room") as failure:
        ImageStore(1000).check_progress("x/y:1", {}, {}, "/")
    assert failure.value.transient
