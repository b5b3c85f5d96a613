"""Whether a machine is what its daemon reports: what its model cannot have or do, and what it does below its model."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from dc1.domain.providers.gpu_models import DATA_SHEETS
from dc1.domain.providers.measurements import Measurement


class Performance(StrEnum):
    """How a measured GPU stands to its model."""

    AS_MODEL = "as_model"
    BELOW_MODEL = "below_model"


MISMATCH = "mismatch"
"""What the verification of a machine says whose GPU cannot be what is reported."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """What a GPU of the reported model cannot have or do.

    `hardware` is the same whenever the same card is found out for the same, so that an admin decides once on each.
    """

    hardware: str
    words: str


def mismatches_of(
    gpu_name: str | None, vram_mib: int | None, measured: Measurement | None, *, shares_card: bool = False
) -> tuple[Mismatch, ...]:
    """Return what cannot be of a reported GPU, by its canonical name; of an unknown model everything can.

    One of a kind each: whoever accepted the VRAM of a card has said nothing about what it does.
    """
    model = DATA_SHEETS.get(gpu_name or "")
    if gpu_name is None or model is None:
        return ()
    found = []
    if vram_mib is not None and not model.can_have_vram(vram_mib):
        found.append(Mismatch(f"{gpu_name}/{vram_mib}/vram", f"No {gpu_name} has {vram_mib} MiB of VRAM"))
    if measured is not None and not model.can_score(measured):
        figures = f"{measured.tops_int8:g} TOPS and {measured.memory_gbps:g} GB/s"
        found.append(Mismatch(f"{gpu_name}/{vram_mib}/score", f"No {gpu_name} does {figures}"))
    if shares_card:
        words = (
            f"Measured at the same time as a machine at the same address, both together did what one {gpu_name} does"
        )
        found.append(Mismatch(f"{gpu_name}/{vram_mib}/shared_card", words))
    return tuple(found)


def undecided(found: Sequence[Mismatch], accepted: str | None) -> list[Mismatch]:
    """Return what no admin accepted yet; `accepted` has a line for each hardware that one did."""
    return [each for each in found if each.hardware not in (accepted or "").split("\n")]


def accepted_with(found: Sequence[Mismatch], said: str | None, accepted: str | None) -> str | None:
    """Return what is accepted, a line each, once an admin decided on what was `said`."""
    # What was not said to the admin is not decided; a score has other figures each time that it is measured.
    decided = [each for each in found if each.words == said] or found
    kept = [each for each in found if each not in undecided(found, accepted)]
    return "\n".join(dict.fromkeys(each.hardware for each in (*kept, *decided))) or None


def performance_of(gpu_name: str | None, measured: Measurement | None) -> Performance | None:
    """Return how a measured GPU stands to its model, None where either is not known."""
    model = DATA_SHEETS.get(gpu_name or "")
    if model is None or measured is None:
        return None
    return Performance.BELOW_MODEL if model.is_below(measured) else Performance.AS_MODEL


def in_words(gpu_name: str | None, measured: Measurement) -> str:
    """Return for an owner why its machine is placed after its equals, and costs less."""
    model = DATA_SHEETS[gpu_name or ""]
    return (
        f"Measured {measured.tops_int8:g} TOPS and {measured.memory_gbps:g} GB/s; any healthy {gpu_name} does at least"
        f" {model.least_tops:g} and {model.least_memory_gbps:g}, and it costs what the cheapest card does that does as much"
        + (
            ""
            if measured.integer_products
            else "; it multiplied by floats, which newer versions of PyTorch do by integers"
        )
        + ("" if measured.slowed_by is None else f"; when it was measured: {measured.slowed_by}")
    )
