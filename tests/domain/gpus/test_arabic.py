"""Whatever the market says of a machine's GPU has its Arabic."""

from collections.abc import Iterator

import pytest

from dc1.domain.base.json_types import JsonObject
from dc1.domain.gpus.arabic import hardware_in_arabic
from dc1.domain.gpus.card_health import FATAL_XIDS, slowed_by
from dc1.domain.gpus.card_record import CardRecord
from dc1.domain.providers.measurements import Device, Measurement
from dc1.domain.providers.mismatches import in_words, mismatches_of

HELD: JsonObject = {
    "gpu_name": "RTX 4090",
    "throttle_reasons": ["hw_thermal_slowdown"],
    "power_limit_w": 300,
    "power_limit_default_w": 450,
    "ecc_uncorrected": 3,
    "ecc_corrected": 4,
}


def measured(slow: str | None = None) -> Measurement:
    return Measurement(
        tops_int8=1.5, memory_gbps=9.25, device=Device.GPU, probed_at_ms=1, integer_products=False, slowed_by=slow
    )


def notices() -> Iterator[str]:
    for xid in FATAL_XIDS:
        record = CardRecord({"gpu_name": "T4", "gpu_uuid": "GPU-1", "xid_errors": [xid]})
        yield record.notice or ""
    yield CardRecord({"gpu_name": "T4", "gpu_uuid": "GPU-1", "ecc_uncorrected_new": 2}).notice or ""
    yield from (each.words for each in mismatches_of("RTX 4090", 1, measured(), shares_card=True))
    yield from (each.words for each in mismatches_of("T4", 16384, Measurement(9e9, 9e9, Device.GPU, 1)))
    yield in_words("RTX 4090", measured(slowed_by(HELD)))


@pytest.mark.parametrize("said", [*notices()])
def test_every_notice_has_its_arabic_with_the_same_figures(said: str) -> None:
    arabic = hardware_in_arabic(said)
    assert arabic is not None
    figures = [word.strip(",;") for word in said.split() if any(letter.isdigit() for letter in word)]
    assert all(figure in arabic for figure in figures)
    assert "given no work" not in arabic


def test_words_of_others_stay_as_they_are() -> None:
    assert hardware_in_arabic(None) is None
    assert hardware_in_arabic("3 corrected ECC errors; and more") is None
