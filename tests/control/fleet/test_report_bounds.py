"""What an account that anybody may open can make the server keep by its heartbeats."""

from dc1.control.fleet.offered_models import MOST_OF_PROVIDER, OfferedModels
from dc1.control.fleet.provider import Provider
from dc1.control.fleet.reports import GpuCounts, Reports
from dc1.domain.providers.gpu_sources import GpuSource
from dc1.domain.providers.liveness import Approval
from dc1.domain.providers.reports import read_report
from dc1.testing.clock import ManualClock

NOW = 1_774_206_010_000


def provider(approval: Approval = Approval.APPROVED) -> Provider:
    return Provider(1, "Najd", "gpu@example.sa", "RTX 4090", "linux", NOW, approval=approval)


def test_a_gpu_that_is_named_anew_with_every_beat_leaves_no_count_behind() -> None:
    counts, named = GpuCounts(), provider()
    for number in range(100):
        named.registered_gpu_model = f"GPU {number}"
        counts.update(named)
    assert counts.most_common() == [(("GPU 99", GpuSource.CLAIMED), 1)]
    assert len(counts) == 1


def test_telemetry_is_kept_of_approved_machines_only() -> None:
    reports, clock = Reports(ManualClock(NOW)), NOW
    report = read_report({"gpu_status": {"temp_c": 50, "gpu_name": "RTX 4090"}})
    reports.take(provider(Approval.PENDING), report, clock)
    assert reports.telemetry.take(clock + 60_000, 10) == {}
    reports.take(provider(), report, clock)
    assert len(reports.telemetry.take(clock + 60_000, 10)) == 1


def test_one_provider_that_makes_models_up_keeps_no_other_from_naming_theirs() -> None:
    offered = OfferedModels()
    for number in range(3 * MOST_OF_PROVIDER):
        offered.note(1, [f"made/up-{number}"], NOW)
    assert len(offered.take_unsaved()) == MOST_OF_PROVIDER
    offered.note(2, ["honest/model"], NOW)
    assert offered.take_unsaved() == {"honest/model": NOW}
