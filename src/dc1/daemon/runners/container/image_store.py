"""The disk that images of jobs may take: a budget, out of which those go that were not used for longest."""

import contextlib
import hashlib
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from docker.errors import APIError, ImageNotFound, NotFound

from dc1.daemon.runners.base import RunFailed
from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.jobs.states import ErrorCategory

MARK = "localhost/dc1-pulled"
"""The repository of tags that say in the engine itself that an image was pulled for jobs, and when it was used."""

_MIB = 1024 * 1024
# What the owner's own programs, and the engine's layers on their way, are left with.
_DISK_RESERVE_BYTES = 2048 * _MIB


@dataclass(frozen=True, slots=True)
class _Pulled:
    image: Any
    used_at_ms: int
    size_bytes: int
    marks: tuple[str, ...]
    references: tuple[str, ...]
    """The names that it was pulled by; others are the owner's."""


class ImageStore:
    """Keeps the images that were pulled for jobs within a budget; those of the owner's own are left alone.

    All methods but `holding` block for as long as the engine takes.
    """

    def __init__(self, budget_mib: int) -> None:
        self._budget_bytes = budget_mib * _MIB
        self._held: Counter[str] = Counter()

    @contextlib.contextmanager
    def holding(self, image: Any) -> Iterator[None]:
        """Keep an image from being removed before there is a container of it."""
        key = _key(image.id)
        self._held[key] += 1
        try:
            yield
        finally:
            self._held[key] -= 1
            # Kept for those that are held alone: a daemon meets new images for as long as it runs.
            if not self._held[key]:
                del self._held[key]

    def used(self, client: Any, image: Any) -> None:
        """Take down that an image was used now, if it was pulled for jobs."""
        for name in [tag for tag in image.tags if tag.startswith(f"{MARK}:")]:
            self._mark(client, image, name.rpartition("-")[2])

    def pulled(self, client: Any, image: Any, reference: str) -> None:
        """Take in an image that was just pulled, for which the oldest others go.

        Raises:
            RunFailed: it is larger than the whole budget, and is removed.
        """
        self._mark(client, image, _digest(reference))
        if _size(image) > self._budget_bytes:
            for entry in _pulled(client):
                if _key(entry.image.id) == _key(image.id):
                    _remove(client, entry)
            raise RunFailed(ErrorCategory.IMAGE_PULL, self._too_large(reference), transient=True)
        with self.holding(image):
            self.make_room(client)

    def make_room(self, client: Any) -> None:
        """Remove the images that were not used for longest until the rest fits the budget, and the disk has room."""
        kept = sorted(_pulled(client), key=lambda entry: entry.used_at_ms)
        total_bytes = sum(entry.size_bytes for entry in kept)
        # Sparse, or each is asked about by itself, and Podman calls it a failure of its own when one is gone by then.
        used_by_containers = {
            _key(str(container.attrs.get("ImageID") or ""))
            for container in client.containers.list(all=True, sparse=True)
        }
        directory = disk_of(client)
        for entry in kept:
            if total_bytes <= self._budget_bytes and _free_bytes(directory) >= _DISK_RESERVE_BYTES:
                return
            key = _key(entry.image.id)
            if self._held[key] or key in used_by_containers:
                continue
            _remove(client, entry)
            total_bytes -= entry.size_bytes

    def check_progress(self, reference: str, sizes: dict[str, int], step: JsonObject, directory: str) -> None:
        """Look at one message of a pull; `sizes` keeps what was heard of each layer.

        Raises:
            RunFailed: the image would not fit the budget or the disk.
        """
        detail = step.get("progressDetail")
        total: JsonValue = detail.get("total") if isinstance(detail, dict) else None
        if type(total) is int and total > 0:
            layer = str(step.get("id"))
            sizes[layer] = max(sizes.get(layer, 0), total)
        # Of layers as they are sent, which are smaller than on the disk: what is too large here is so there.
        if sum(sizes.values()) > self._budget_bytes:
            raise RunFailed(ErrorCategory.IMAGE_PULL, self._too_large(reference), transient=True)
        if _free_bytes(directory) < _DISK_RESERVE_BYTES:
            raise RunFailed(ErrorCategory.ENGINE, "the provider's disk has no room for the image", transient=True)

    def _too_large(self, reference: str) -> str:
        return f"image '{reference}' is larger than the {self._budget_bytes // _MIB} MiB that images may take here"

    def _mark(self, client: Any, image: Any, digest: str) -> None:
        # The new one first: at no time is an image that was pulled without a mark.
        image.tag(MARK, f"{time.time_ns() // 1_000_000}-{digest}")
        for name in [tag for tag in image.tags if tag.startswith(f"{MARK}:") and tag.endswith(f"-{digest}")]:
            with contextlib.suppress(APIError):
                client.images.remove(name)


def disk_of(client: Any) -> str:
    """Return the directory in which an engine keeps images, as it says."""
    return str(client.info().get("DockerRootDir") or "")


def _pulled(client: Any) -> list[_Pulled]:
    found = []
    for image in client.images.list(name=MARK):
        marks = [tag for tag in image.tags if tag.startswith(f"{MARK}:")]
        said = [tag.rpartition(":")[2].partition("-") for tag in marks]
        digests = {digest for _, _, digest in said}
        found.append(
            _Pulled(
                image=image,
                used_at_ms=max((int(at) for at, _, _ in said if at.isdecimal()), default=0),
                size_bytes=_size(image),
                marks=tuple(marks),
                references=tuple(tag for tag in image.tags if digests & set(map(_digest, _spellings(tag)))),
            )
        )
    return found


def _remove(client: Any, entry: _Pulled) -> None:
    """Remove an image by its names, never by force: one that a container uses stays, and so do names of the owner's."""
    # The marks last: what cannot be removed now is found again.
    with contextlib.suppress(APIError):
        for name in (*entry.references, *entry.marks):
            with contextlib.suppress(NotFound):
                client.images.remove(name)
        with contextlib.suppress(ImageNotFound):
            # One that was pulled by its digest has no name left, and is not removed with the last one by all engines.
            if not client.images.get(entry.image.id).tags:
                client.images.remove(entry.image.id)


def _spellings(tag: str) -> tuple[str, ...]:
    """Return how a reference may have been written that an engine shows as `tag`."""
    short = tag.removeprefix("docker.io/")
    return tag, short, short.removeprefix("library/"), f"docker.io/{tag}", f"docker.io/library/{tag}"


def _digest(reference: str) -> str:
    return hashlib.sha256(reference.encode()).hexdigest()[:12]


def _key(image_id: str) -> str:
    return image_id.removeprefix("sha256:")


def _size(image: Any) -> int:
    size = image.attrs.get("Size")
    return size if type(size) is int else 0


def _free_bytes(directory: str) -> float:
    """Return how much can still be written; everything where the directory is not on this machine."""
    try:
        found = os.statvfs(directory)
    except OSError:
        return float("inf")
    return found.f_bavail * found.f_frsize
