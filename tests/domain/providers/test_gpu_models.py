"""What is asked of a model at least, against what the arithmetic of a probe lets a healthy card come to."""

import pytest

from dc1.domain.probe.rounds import DEPTH, TABLE_COLUMNS, WIDTH, Kind, first_round
from dc1.domain.providers.gpu_models import DATA_SHEETS, GpuModel
from dc1.domain.providers.measurements import Device

_OF_SHEET = 0.7
"""What programs reach of a data sheet."""

_HASHING_SECONDS = {Kind.MEMORY: 0.35e-3, Kind.PRODUCTS: 3e-3}
"""What a step takes beside the card: 0.18 and 1.6 ms on a newer processor, and the way to the card and back."""

_PRODUCT_BYTES = 10
"""What is moved of each cell of a product: its sum of four bytes written and read, its byte written and read."""


def _memory_gbps(model: GpuModel) -> float:
    table = first_round(Device.GPU, Kind.MEMORY).rows * TABLE_COLUMNS * 8
    seconds = table / (_OF_SHEET * model.memory_gbps[0] * 1e9) + _HASHING_SECONDS[Kind.MEMORY]
    return table / seconds / 1e9


def _tops(model: GpuModel) -> float:
    rows = first_round(Device.GPU, Kind.PRODUCTS).rows
    product = 2 * rows * WIDTH * WIDTH / (_OF_SHEET * model.tops_int8[0] * 1e12)
    moved = rows * WIDTH * _PRODUCT_BYTES / (_OF_SHEET * model.memory_gbps[0] * 1e9)
    seconds = DEPTH * (product + moved) + _HASHING_SECONDS[Kind.PRODUCTS]
    return 2 * rows * WIDTH * WIDTH * (DEPTH - 2) / seconds / 1e12


@pytest.mark.parametrize("name", DATA_SHEETS)
def test_a_healthy_card_does_what_is_asked_of_its_model(name: str) -> None:
    model = DATA_SHEETS[name]
    assert _memory_gbps(model) > model.least_memory_gbps
    assert _tops(model) > model.least_tops


@pytest.mark.parametrize("name", DATA_SHEETS)
def test_a_tenth_of_a_card_is_less_than_is_asked(name: str) -> None:
    model = DATA_SHEETS[name]
    assert _memory_gbps(model) / 10 < model.least_memory_gbps
    assert _tops(model) / 10 < model.least_tops
