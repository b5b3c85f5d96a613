"""What a machine is listed, priced and given work as, by what its owner claimed and its daemon reported."""

from dataclasses import dataclass

import pytest

from dc1.control.fleet.fleet import Fleet
from dc1.control.fleet.provider import Provider
from dc1.domain.base.json_types import JsonObject
from dc1.domain.jobs.placement import Requirement
from dc1.domain.providers.gpu_sources import GpuSource
from dc1.domain.providers.liveness import Approval, Thresholds
from dc1.domain.providers.reports import Facts, read_report
from dc1.testing.clock import ManualClock

NOW = 1_774_206_010_000
ANY, CUDA = Requirement(), Requirement(needs_gpu=True)
H100, VRAM, TWO = Requirement(gpu_type="H100"), Requirement(min_vram_gb=8), Requirement(gpu_count=2)
CARD: JsonObject = {"gpu_name": "NVIDIA H100 80GB HBM3", "gpu_vram_mib": 81559, "gpus_present": 1}
NO_CARD: JsonObject = {"gpus_present": 0}


@dataclass(frozen=True)
class Seen:
    """How a machine is listed: its model, by whose word, its GPUs and their VRAM, and its price in hundredths."""

    model: str
    source: GpuSource
    gpus: int
    vram_mib: int | None
    price_pct: int


CLAIMED_H100 = Seen("H100", GpuSource.CLAIMED, 8, 81920, 100)
CPU = Seen("CPU", GpuSource.REPORTED, 0, None, 100)
REAL = Seen("NVIDIA H100 80GB HBM3", GpuSource.REPORTED, 1, 81559, 550)
UNNAMED = Seen("", GpuSource.REPORTED, 1, 24564, 100)
WITHOUT_VRAM = Seen("NVIDIA H100 80GB HBM3", GpuSource.REPORTED, 1, None, 550)


@pytest.mark.parametrize(
    ("claim", "channel", "status", "seen", "fitting"),
    [
        # Nobody has reported: a claim is listed as one and is given no work that names a GPU.
        ("H100", "post", None, CLAIMED_H100, [ANY]),
        ("H100", "post", {"temp_c": 50}, CLAIMED_H100, [ANY]),
        ("", "post", None, Seen("", GpuSource.CLAIMED, 8, 81920, 100), [ANY]),
        # The first report ends the claims, those that it says nothing about too.
        ("H100", "stream", NO_CARD, CPU, [ANY]),
        ("H100", "stream", {"daemon_version": "3.3.0"}, CPU, [ANY]),
        ("H100", "stream", None, CPU, [ANY]),
        ("H100", "post", NO_CARD, CPU, [ANY]),
        ("RTX 4090", "stream", CARD, REAL, [ANY, CUDA, H100, VRAM]),
        ("RTX 4090", "post", CARD, REAL, [ANY, CUDA, H100, VRAM]),
        ("H100", "post", {"gpu_vram_mib": 24564}, UNNAMED, [ANY, CUDA, VRAM]),
        # A card whose daemon does not say how much VRAM it has is not known to have too little.
        ("H100", "post", {"gpu_name": CARD["gpu_name"]}, WITHOUT_VRAM, [ANY, CUDA, H100, VRAM]),
    ],
)
def test_reports_take_the_place_of_claims(
    claim: str, channel: str, status: JsonObject | None, seen: Seen, fitting: list[Requirement]
) -> None:
    fleet = Fleet(ManualClock(NOW), Thresholds())
    machine = _approved(claim, Facts(vram_mib=81920, gpu_count=8))
    fleet.add(machine)
    report = read_report({"gpu_status": status})
    if channel == "stream":
        fleet.presence.stream_opened(machine)
        fleet.presence.stream_beat(machine, report, frozenset({"benchmark"}), draining=False)
    else:
        fleet.presence.heartbeat(machine, report)
    price_pct = machine.price_bps(fleet.prices) // 100
    assert Seen(machine.gpu_model, machine.gpu_source, machine.gpu_count, machine.vram_mib, price_pct) == seen
    wanted = [ANY, CUDA, H100, VRAM, TWO]
    assert [each for each in wanted if fleet.availability.local.best(each) == machine.id] == fitting


def test_a_machine_that_gets_a_card_is_one_with_a_card() -> None:
    machine = _approved("", Facts())
    machine.take_report(read_report({"gpu_status": NO_CARD}), streamed=True)
    assert machine.gpu_model == "CPU"
    machine.take_report(read_report({"gpu_status": CARD}), streamed=True)
    assert (machine.gpu_name, machine.gpu_count) == ("H100", 1)


def _approved(claim: str, facts: Facts) -> Provider:
    return Provider(1, "Najd", "gpu@example.sa", claim, "linux", NOW, approval=Approval.APPROVED, facts=facts)
