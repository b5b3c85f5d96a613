"""What a machine is listed, priced and given work as, by what its owner claimed and its daemon reported."""

from dataclasses import dataclass, replace

import pytest

from dc1.control.fleet.fleet import Fleet
from dc1.control.fleet.price_book import PriceBook
from dc1.control.fleet.provider import Provider
from dc1.domain.base.json_types import JsonObject
from dc1.domain.jobs.placement import ProviderView, Requirement, choose
from dc1.domain.money.machine_prices import DEFAULT_BOUNDS, GPU_FACTORS_PCT
from dc1.domain.providers.gpu_models import DATA_SHEETS
from dc1.domain.providers.gpu_sources import GpuSource
from dc1.domain.providers.liveness import Approval, ProviderStatus, Thresholds
from dc1.domain.providers.measurements import Device, Measurement
from dc1.domain.providers.mismatches import Performance
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


GPU, NONE = Device.GPU, None
FLOATS = "floats"
AS, BELOW = Performance.AS_MODEL, Performance.BELOW_MODEL
CARD_4090: JsonObject = {"gpu_name": "NVIDIA GeForce RTX 4090", "gpu_vram_mib": 24564}


@pytest.mark.parametrize(
    ("claim", "status", "measured", "source", "performance", "mismatch", "fits_type", "price_pct"),
    [
        # A CPU-only machine, whatever was claimed, measured or not.
        ("H100", NO_CARD, None, "reported", None, None, False, 100),
        ("H100", NO_CARD, (0.06, 9.6, Device.CPU), "measured", None, None, False, 100),
        # The right model, healthy, and throttled.
        ("", CARD, (400, 1500, GPU), "measured", AS, None, True, 550),
        ("H100", CARD, (60, 1500, GPU), "measured", BELOW, None, True, 150),
        ("H100", CARD, (400, 150, GPU), "measured", BELOW, None, True, 80),
        # The wrong model: another card's VRAM, a card that is far too weak, and one that is too good to be it.
        ("H100", {**CARD, "gpu_vram_mib": 24564}, None, "reported", None, "24564 MiB", False, 100),
        ("H100", CARD, (1, 1500, GPU), "measured", BELOW, "1 TOPS", False, 30),
        ("RTX 4090", {**CARD_4090}, (1500, 900, GPU), "measured", AS, "1500 TOPS", False, 100),
        # Floats excuse nothing: whoever has a weak card would say them. A V100 has no others, and does enough by them.
        ("H100", CARD, (1, 1500, GPU, FLOATS), "measured", BELOW, "1 TOPS", False, 30),
        ("H100", CARD, (60, 1500, GPU, FLOATS), "measured", BELOW, None, True, 150),
        ("H100", CARD, (400, 1500, GPU, FLOATS), "measured", AS, None, True, 550),
        (
            "V100",
            {"gpu_name": "Tesla V100", "gpu_vram_mib": 16160},
            (9, 700, GPU, FLOATS),
            "measured",
            AS,
            None,
            False,
            50,
        ),
        # A figure of the processor says nothing of the GPU, and one of an unknown model nothing of the model.
        ("H100", CARD, (0.06, 9.6, Device.CPU), "reported", None, None, True, 550),
        ("", {"gpu_name": "Moore S80", "gpu_vram_mib": 16384}, (9, 9, GPU), "measured", None, None, False, 100),
    ],
)
def test_measurements_judge_reports(
    claim: str,
    status: JsonObject,
    measured: tuple[float, float, Device] | tuple[float, float, Device, str] | None,
    source: str,
    performance: Performance | None,
    mismatch: str | None,
    fits_type: bool,
    price_pct: int,
) -> None:
    fleet = Fleet(ManualClock(NOW), Thresholds())
    machine = _approved(claim, Facts())
    fleet.add(machine)
    fleet.presence.heartbeat(machine, read_report({"gpu_status": status}))
    if measured is not None:
        tops, gbps, device, *integers = measured
        proved = Measurement(tops, gbps, device, NOW, integer_products=not integers)
        fleet.set_measurement(machine, proved, "measured")
    assert (machine.gpu_source, machine.performance) == (source, performance)
    assert (mismatch or "") in (machine.mismatch or "")
    assert (machine.mismatch is None) is (mismatch is None)
    wanted = Requirement(gpu_type="RTX4090" if status == CARD_4090 else "H100")
    assert (fleet.availability.local.best(wanted) == machine.id) is fits_type
    assert fleet.availability.local.best(ANY) == machine.id
    assert machine.price_bps(fleet.prices) == 100 * price_pct


@pytest.mark.parametrize("card", GPU_FACTORS_PCT)
def test_a_card_found_below_what_it_is_called_costs_no_more_than_what_it_is(card: str) -> None:
    """Of any card, measured as it may be when it is healthy, and called by any other name."""
    prices, real = PriceBook(DEFAULT_BOUNDS), DATA_SHEETS[card]
    lows, highs = (real.least_tops, real.least_memory_gbps), (real.tops_int8[1], real.memory_gbps[1])
    for tops, gbps in ((low, high) for low in (lows[0], highs[0]) for high in (lows[1], highs[1])):
        measured = Measurement(tops, gbps, GPU, NOW)
        for called in GPU_FACTORS_PCT:
            if DATA_SHEETS[called].is_below(measured):
                assert prices.factor_pct(called, measured) <= prices.factor_pct(card)
                assert prices.factor_pct(called, measured) <= prices.factor_pct(called)


def test_a_card_that_recovers_has_its_own_factor_back() -> None:
    """Contract 5.1: what it costs follows in quotes and lists from the one price."""
    fleet = Fleet(ManualClock(NOW), Thresholds())
    machine = _approved("", Facts())
    fleet.add(machine)
    fleet.presence.heartbeat(machine, read_report({"gpu_status": CARD}))
    like_a_t4 = Measurement(110, 280, GPU, NOW)
    fleet.set_measurement(machine, like_a_t4, "measured")
    assert fleet.availability.bookable.dearest(H100) == (3_000, machine.id)
    # Whatever the cheapest card that does as much costs from now on.
    fleet.set_gpu_factors({**fleet.prices.factors, "RTX 3060": 35})
    assert fleet.availability.bookable.dearest(H100) == (3_500, machine.id)
    fleet.set_measurement(machine, replace(like_a_t4, memory_gbps=1500), "measured")
    assert fleet.availability.bookable.dearest(H100) == (55_000, machine.id)


def test_a_mismatch_lasts_until_an_admin_decides_and_is_found_once() -> None:
    fleet = Fleet(ManualClock(NOW), Thresholds())
    machine = _approved("", Facts())
    fleet.add(machine)
    small = read_report({"gpu_status": {**CARD, "gpu_vram_mib": 24564}})
    fleet.presence.heartbeat(machine, small)
    # Whoever was found out reports what is plausible next.
    fleet.presence.heartbeat(machine, read_report({"gpu_status": CARD}))
    assert fleet.availability.local.best(H100) is None
    fleet.presence.heartbeat(machine, small)
    fleet.accept_hardware(machine, machine.doubted_hardware)
    fleet.presence.heartbeat(machine, small)
    assert fleet.availability.local.best(H100) == machine.id
    fleet.presence.heartbeat(machine, read_report({"gpu_status": {**CARD, "gpu_vram_mib": 8192}}))
    assert fleet.availability.local.best(H100) is None


def test_who_accepts_the_vram_of_a_card_has_not_accepted_its_score() -> None:
    fleet = Fleet(ManualClock(NOW), Thresholds())
    machine = _approved("", Facts())
    fleet.add(machine)
    fleet.presence.heartbeat(machine, read_report({"gpu_status": {**CARD, "gpu_vram_mib": 24564}}))
    fleet.accept_hardware(machine, machine.doubted_hardware)
    assert machine.mismatch is None
    weak = Measurement(1, 1500, GPU, NOW, integer_products=True)
    fleet.set_measurement(machine, weak, "measured")
    assert machine.mismatch == "No H100 does 1 TOPS and 1500 GB/s"
    fleet.accept_hardware(machine, machine.doubted_hardware)
    fleet.set_measurement(machine, replace(weak, tops_int8=2), "measured")
    assert machine.mismatch is None, "both were decided"
    assert fleet.availability.local.best(H100) == machine.id


def test_what_was_not_said_to_an_admin_is_not_decided_with_the_rest() -> None:
    fleet = Fleet(ManualClock(NOW), Thresholds())
    machine = _approved("", Facts())
    fleet.add(machine)
    fleet.presence.heartbeat(machine, read_report({"gpu_status": {**CARD, "gpu_vram_mib": 24564}}))
    fleet.set_measurement(machine, Measurement(1, 1500, GPU, NOW, integer_products=True), "measured")
    assert machine.mismatch == "No H100 has 24564 MiB of VRAM"
    fleet.accept_hardware(machine, machine.doubted_hardware)
    assert machine.mismatch == "No H100 does 1 TOPS and 1500 GB/s"


@pytest.mark.parametrize("name", ["NVIDIA L40S-12Q", "NVIDIA A100-SXM4-80GB MIG 1g.10gb", "GRID A100-10C"])
def test_a_slice_of_a_card_is_no_bad_card(name: str) -> None:
    """It has less than the card and does less, costs as an unknown one, and is asked for by its own name."""
    fleet = Fleet(ManualClock(NOW), Thresholds())
    machine = _approved("", Facts())
    fleet.add(machine)
    fleet.presence.heartbeat(machine, read_report({"gpu_status": {"gpu_name": name, "gpu_vram_mib": 10240}}))
    fleet.set_measurement(machine, Measurement(8, 150, GPU, NOW), "measured")
    assert (machine.mismatch, machine.performance) == (None, None)
    assert machine.price_bps(fleet.prices) == 10_000
    assert fleet.availability.local.best(Requirement(gpu_type=machine.gpu_type)) == machine.id


def test_a_new_factor_is_that_of_its_model_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = Fleet(ManualClock(NOW), Thresholds())
    machines = [replace(_approved("", Facts()), id=number) for number in (1, 2)]
    fleet.add_all(machines)
    for machine, card in zip(machines, (CARD, CARD_4090), strict=True):
        fleet.presence.heartbeat(machine, read_report({"gpu_status": card}))
    indexed: list[int] = []
    update = fleet.availability.update

    def noted(provider: Provider) -> None:
        indexed.append(provider.id)
        update(provider)

    monkeypatch.setattr(fleet.availability, "update", noted)
    fleet.set_gpu_factors({**fleet.prices.factors, "H100": 50})
    assert indexed == [1]
    assert fleet.availability.local.best(ANY) == 1


def test_a_machine_that_fails_its_probe_gets_no_work_for_gpus() -> None:
    fleet = Fleet(ManualClock(NOW), Thresholds())
    machine = _approved("", Facts())
    fleet.add(machine)
    fleet.presence.heartbeat(machine, read_report({"gpu_status": CARD}))
    fleet.set_measurement(machine, None, "failed: an opened row is wrong", caught=True)
    assert machine.hardware_notice == "The probe of its GPU failed: an opened row is wrong"
    assert fleet.availability.local.best(H100) is None


def test_what_was_measured_of_one_card_is_not_said_of_another() -> None:
    machine = _approved("", Facts())
    machine.take_report(read_report({"gpu_status": CARD}))
    machine.measurement = Measurement(400, 1500, GPU, NOW)
    machine.take_report(read_report({"gpu_status": CARD_4090}))
    assert machine.gpu_source == "reported"


def test_of_equals_the_one_below_its_model_is_taken_last() -> None:
    views = [ProviderView(1, Approval.APPROVED, ProviderStatus.ONLINE, below_model=True)]
    views.append(ProviderView(2, Approval.APPROVED, ProviderStatus.ONLINE))
    assert choose(views, ANY) == 2
    # Neither reputation nor price is made up for by it.
    assert choose([views[0], replace(views[1], price_bps=20_000)], ANY) == 1


def test_a_machine_that_gets_a_card_is_one_with_a_card() -> None:
    machine = _approved("", Facts())
    machine.take_report(read_report({"gpu_status": NO_CARD}), streamed=True)
    assert machine.gpu_model == "CPU"
    machine.take_report(read_report({"gpu_status": CARD}), streamed=True)
    assert (machine.gpu_name, machine.gpu_count) == ("H100", 1)


def _approved(claim: str, facts: Facts) -> Provider:
    return Provider(1, "Najd", "gpu@example.sa", claim, "linux", NOW, approval=Approval.APPROVED, facts=facts)
