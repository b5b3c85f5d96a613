from functools import partial

import pytest

from dc1.control.control_plane import ControlPlane
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.stream_daemon import StreamDaemon
from dc1.testing.waiting import eventually
from tests.replicas.pair import Pair


@pytest.fixture
def served_at_a(pair: Pair) -> tuple[PollDaemon, StreamDaemon]:
    """A machine whose stream replica A holds, and B knows it."""
    provider = pair.add_provider(pair.a)
    daemon = pair.connect(provider, pair.a)
    eventually(partial(is_elsewhere, pair.b.server.market, provider.id), "B knowing who holds the stream")
    return provider, daemon


def is_elsewhere(plane: ControlPlane, provider_id: int) -> bool:
    provider = plane.fleet.get(provider_id)
    return provider is not None and provider.stream_replica is not None
