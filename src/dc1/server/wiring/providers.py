"""Providers' accounts and the calls of daemons that speak HTTP only."""

from dc1.server.wiring.parts import Parts, Wiring


def wire(parts: Parts) -> Wiring:
    """Return these services."""
    return Wiring(services=[])
