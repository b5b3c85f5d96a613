"""Names of container images: one canonical form, so that what is approved, named and run is compared and not spelled.

The grammar is that of the distribution project, as Docker and Podman read it: `[host[:port]/]path[:tag][@digest]`.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import lru_cache

MAX_IMAGE_NAME = 255
_HUB = "docker.io"
# What people and tools call Docker's own registry.
_HUBS = frozenset({_HUB, "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"})
_LATEST = "latest"

_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:]+\])(?::[0-9]{{1,5}})?", re.IGNORECASE)
_PATH = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ImageName:
    """An image's name with nothing left out. `tag` is None for a name that has a digest alone."""

    host: str
    path: str
    tag: str | None
    digest: str | None

    def __str__(self) -> str:
        tag = "" if self.tag is None else f":{self.tag}"
        return f"{self.host}/{self.path}{tag}" + ("" if self.digest is None else f"@{self.digest}")

    def is_for(self, wanted: "ImageName") -> bool:
        """Tell whether who may use this image may use what is `wanted`.

        A digest says which image it is, whatever the tag beside it. A tag alone is one that an admin approved, and
        stands for the digest that was approved with it.
        """
        if (self.host, self.path) != (wanted.host, wanted.path):
            return False
        return self.tag == wanted.tag if wanted.digest is None else self.digest == wanted.digest


@lru_cache(maxsize=4096)
def parse(text: str) -> ImageName | None:
    """Return the name that a text stands for, None for a text that is no image's name."""
    if len(text) > MAX_IMAGE_NAME:
        return None
    rest, at, digest = text.partition("@")
    first, slash, below = rest.partition("/")
    # As Docker tells them apart: a first part without dot, port or capital is a user of its own registry.
    has_host = bool(slash) and (bool(set(".:[") & set(first)) or first != first.lower() or first == "localhost")
    host, named = (first.lower(), below) if has_host else (_HUB, rest)
    path, colon, tag = named.partition(":")
    if host in _HUBS:
        host, path = _HUB, path if "/" in path else f"library/{path}"
    parts = ((_HOST, host, True), (_PATH, path, True), (_TAG, tag, bool(colon)), (_DIGEST, digest, bool(at)))
    if not all(pattern.fullmatch(part) for pattern, part, is_there in parts if is_there):
        return None
    return ImageName(host, path, tag or (None if at else _LATEST), digest or None)


def approved_as(image: str, approved: Collection[str]) -> str | None:
    """Return the approved reference that an image's name stands for, None when there is none."""
    # As it is written first: an old registry may have one image under two spellings.
    if image in approved:
        return image
    wanted = parse(image)
    if wanted is None:
        return None
    found = (reference for reference in approved if (name := parse(reference)) is not None and name.is_for(wanted))
    return min(found, default=None)


def pull_name(image: str) -> str:
    """Return the name by which an image is pulled: by its digest where it has one, and else as it is.

    Without the tag then: Docker leaves it out of account, and Podman takes no name that has both.
    """
    name = parse(image)
    return image if name is None or name.digest is None or name.tag is None else str(replace(name, tag=None))


def needs_cuda(image: object) -> bool:
    """Tell whether an image is made for a GPU, by its name or its type."""
    return isinstance(image, str) and "cuda" in image.lower()
