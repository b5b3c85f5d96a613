"""What each known GPU model can have and do, by which what a daemon reports and a probe proves of one is judged."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from dc1.domain.providers.measurements import Measurement

# A probe's figures are floors: wire, daemon and launches are in the time, and its elementwise steps are slower than its
# products. So a healthy card may stay far below the sheet, and one that is beyond it is another card. What does not
# even reach a two-hundredth is no throttled card of the model, for clocks do not fall so far, but a weaker one.
# A daemon says whether it multiplied by integers or by floats, which no figure depends on: whoever has a weak card
# would say floats. Each of these models has integer products but the V100, whose floats do what is asked of it.
_LEAST_TOPS_SHARE, _LEAST_MEMORY_SHARE = 0.05, 0.15
# What a machine's processor hashes between two steps is in the time too, a third of a millisecond a pass over the table
# and three for a step of products on an older one: the fastest cards are measured by that as much as by themselves.
_MOST_ASKED_TOPS, _MOST_ASKED_GBPS = 100.0, 500.0
_MOST_SHARE = 1.2
_IMPOSSIBLE_SHARE = 0.005
# In whole GB, for drivers report somewhat less than is printed on the card, and some cards keep ECC's share.
_MIB_PER_GB = 1024
_VRAM_TOLERANCE = 0.1


@dataclass(frozen=True, slots=True)
class GpuModel:
    """A model by its public data sheets, over all of its variants, those of laptops too, which have the same names.

    `vram_gb` are the sizes that it is sold with, `tops_int8` the dense integer operations of the slowest and the
    fastest variant in trillions a second, `memory_gbps` likewise gigabytes a second.
    """

    vram_gb: tuple[int, ...]
    tops_int8: tuple[float, float]
    memory_gbps: tuple[float, float]

    def can_have_vram(self, vram_mib: int) -> bool:
        """Tell whether a card of the model can have so much VRAM."""
        return any(abs(vram_mib / (size * _MIB_PER_GB) - 1) <= _VRAM_TOLERANCE for size in self.vram_gb)

    @property
    def least_tops(self) -> float:
        """Score below which a card is slower than its model is."""
        return min(_MOST_ASKED_TOPS, self.tops_int8[0] * _LEAST_TOPS_SHARE)

    @property
    def least_memory_gbps(self) -> float:
        """Bandwidth below which a card is slower than its model is."""
        return min(_MOST_ASKED_GBPS, self.memory_gbps[0] * _LEAST_MEMORY_SHARE)

    def can_score(self, measured: Measurement) -> bool:
        """Tell whether a card of the model can have a score at all, throttled or not."""
        ranges = ((measured.tops_int8, self.tops_int8), (measured.memory_gbps, self.memory_gbps))
        return all(low * _IMPOSSIBLE_SHARE <= figure <= high * _MOST_SHARE for figure, (low, high) in ranges)

    def is_below(self, measured: Measurement) -> bool:
        """Tell whether a healthy card of the model does more."""
        return measured.tops_int8 < self.least_tops or measured.memory_gbps < self.least_memory_gbps


DATA_SHEETS: Mapping[str, GpuModel] = {
    "B200": GpuModel((180, 192), (4_500, 4_500), (7_700, 8_000)),
    "H200": GpuModel((141,), (1_671, 1_979), (4_800, 4_800)),
    "H100": GpuModel((64, 80, 94, 96), (1_513, 1_979), (2_000, 4_020)),
    "A100 80 GB": GpuModel((80,), (624, 624), (1_935, 2_039)),
    "A100 40 GB": GpuModel((40,), (624, 624), (1_555, 1_555)),
    "L40S": GpuModel((48,), (733, 733), (864, 864)),
    "L40": GpuModel((48,), (362, 362), (864, 864)),
    "RTX 5090": GpuModel((24, 32), (838, 838), (1_792, 1_792)),
    "RTX 4090": GpuModel((16, 24, 48), (588, 661), (1_008, 1_008)),
    "RTX 4080": GpuModel((12, 16), (390, 418), (717, 736)),
    "RTX 3090": GpuModel((24,), (284, 320), (936, 1_008)),
    "RTX 3080": GpuModel((8, 10, 12, 16, 20), (238, 273), (760, 912)),
    "RTX 3060": GpuModel((6, 8, 12), (102, 130), (240, 448)),
    "A6000": GpuModel((48,), (310, 310), (768, 768)),
    "L4": GpuModel((24,), (242, 242), (300, 300)),
    "V100": GpuModel((16, 32), (62, 66), (897, 1_134)),
    "T4": GpuModel((16,), (130, 130), (300, 320)),
}
"""By canonical name. A model that is not in it is believed: nobody knows what it can do."""


def models_that_do(measured: Measurement) -> Collection[str]:
    """Return the models of which a healthy card may measure so; all of them where it is too little for any."""
    found = [name for name, model in DATA_SHEETS.items() if model.can_score(measured) and not model.is_below(measured)]
    return found or DATA_SHEETS.keys()
