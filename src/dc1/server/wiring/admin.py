"""Administration of providers and jobs, monitoring and audit."""

from dc1.server.wiring.parts import Parts, Wiring


def wire(parts: Parts) -> Wiring:
    """Return these services."""
    return Wiring(services=[])
