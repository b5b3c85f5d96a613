"""What a daemon was told of the image registry on its stream."""

from collections.abc import Mapping
from functools import lru_cache

from dc1.control.operations.catalog import Catalog
from dc1.domain.jobs.images import pull_name
from dc1.services.daemons.outbox import Outbox
from dcp.v1.daemon_stream_pb2 import ApprovedImages, ConnectResponse


# The same for all streams that open before the list changes.
@lru_cache(maxsize=4)
def _names(approved: frozenset[str]) -> list[str]:
    # With those by which jobs name them too: daemons of before compare letter by letter.
    return sorted({*approved, *map(pull_name, approved)})


class ToldImages:
    """The list of approved images as one stream has it: whole in its Welcome, and again when it has changed."""

    def __init__(self, catalog: Catalog, outbox: Outbox) -> None:
        self._catalog = catalog
        self._outbox = outbox
        self._told: frozenset[str] | None = None

    @property
    def by_type(self) -> Mapping[str, str]:
        """An approved image for each image type, as they are now."""
        return self._catalog.images_by_type

    def welcome(self) -> list[str]:
        """Return the list as it is now, for the Welcome."""
        self._told = self._catalog.approved_images
        return _names(self._told)

    def tell_change(self) -> None:
        """Send the list if it is another than the daemon knows: an offer behind it is judged by it."""
        if self._told is not None and self._told != self._catalog.approved_images:
            self._outbox.send(ConnectResponse(approved_images=ApprovedImages(names=self.welcome())))
