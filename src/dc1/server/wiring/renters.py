"""Renters' accounts, keys, wallets and webhooks, and their administration."""

from dc1.server.wiring.parts import Parts, Wiring


def wire(parts: Parts) -> Wiring:
    """Return these services."""
    return Wiring(services=[])
