"""Which peers are edges of ours, whose word on a client is taken."""

import time
from collections.abc import Iterable, Mapping, Sequence

import structlog

from dc1.domain.access import keys
from dc1.server.listening.addresses import Network, is_within, peer_address
from dc1.server.method_options import REST

PROOF = "x-edge-proof"
"""Carries the secret by which an edge proves itself on TCP."""

# What only an edge says, or a server for the edge to read; the edge has the same list. Of others it is not looked at,
# nor the id of a request, by which log lines are found and which Envoy makes for each.
_OF_EDGES = frozenset((*REST.edge_headers, "x-request-id"))
_PREFIXES_OF_EDGES = tuple(REST.edge_header_prefixes)
_STATED = ("x-client-address", "x-rest")
ADMISSION = "x-admission"
"""Of a call that an edge asks about before it waits for the body: it is judged by its headers, and not made."""
UNPROVEN = "unproven"
"""What stands in `ADMISSION` for who is no edge: he is not answered, and what he asks about is not done."""
_HINT_SECONDS = 60.0
_log = structlog.get_logger(__name__)


class Edges:
    """The edges of this server.

    Who speaks through the Unix socket is one: its rights let nobody else. A peer on TCP is one when it comes from one
    of the networks and brings the secret; without a secret none is.
    """

    def __init__(self, networks: Sequence[Network], secret: str | None) -> None:
        self._networks = networks
        self._secret = secret
        self._hinted_at = -_HINT_SECONDS

    def heard(self, peer: str, metadata: Mapping[str, str]) -> dict[str, str]:
        """Return the metadata of a call as far as its gRPC `peer` is believed; the proof itself is in none."""
        if self._is_edge(peer, metadata):
            return {name: value for name, value in metadata.items() if name != PROOF}
        if any(name in metadata for name in _STATED):
            self._hint(peer)
        heard = {name: value for name, value in metadata.items() if not _is_of_edges(name)}
        return heard | {ADMISSION: UNPROVEN} if ADMISSION in metadata else heard

    def _is_edge(self, peer: str, metadata: Mapping[str, str]) -> bool:
        if peer.startswith("unix:"):
            return True
        address = peer_address(peer)
        if self._secret is None or address is None or not is_within(str(address), self._networks):
            return False
        return keys.same_secret(metadata.get(PROOF, ""), self._secret)

    def _hint(self, peer: str) -> None:
        # Anybody who reaches the port can cause it, so not more than one a minute.
        now = time.monotonic()
        if now - self._hinted_at >= _HINT_SECONDS:
            self._hinted_at = now
            _log.warning(
                "edge_not_believed",
                peer=peer,
                hint="It speaks as an edge and is none: it is not in DC1_TRUSTED_EDGES, or its DC1_EDGE_SECRET is another.",
            )


def _is_of_edges(name: str) -> bool:
    return name in _OF_EDGES or name.startswith(_PREFIXES_OF_EDGES)


def first_values(metadata: Iterable[tuple[str, str | bytes]]) -> dict[str, str]:
    """Return the text headers of a call; of one that was sent more than once, the first value that is not blank."""
    values: dict[str, str] = {}
    for name, value in metadata:
        if isinstance(value, str) and not values.get(name, "").strip():
            values[name] = value
    return values
