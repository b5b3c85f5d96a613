"""Job lists, queues, live streams and outcomes."""

from dc1.server.wiring.parts import Parts, Wiring


def wire(parts: Parts) -> Wiring:
    """Return these services."""
    return Wiring(services=[])
