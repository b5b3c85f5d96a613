"""Where what the market says of a machine's GPU comes from: claims, reports and measurements are worth differently."""

from enum import StrEnum


class GpuSource(StrEnum):
    """Whose word on a GPU is shown, the least reliable first."""

    CLAIMED = "claimed"
    """Its owner typed it, and no daemon has said anything yet."""

    REPORTED = "reported"
    """A daemon says so."""

    MEASURED = "measured"
    """A probe proved what the machine does."""
