"""Discovery, prices, earnings, withdrawals and the market's money."""

from dc1.server.wiring.parts import Parts, Wiring


def wire(parts: Parts) -> Wiring:
    """Return these services."""
    return Wiring(services=[])
