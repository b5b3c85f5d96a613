"""Contract 4.3: machines are what was reported and measured, whatever their owners claim."""

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Admin, Renter
from dc1.testing.rest import Json
from tests.contract.expect import answered, refused, show

VERSION = {"daemon_version": "3.3.0"}


def test_a_machine_without_a_gpu_is_sold_as_one(market: LocalMarket, renter: Renter) -> None:
    """What an owner types is a claim, and a stream that reports no GPU ends it."""
    owner = market.register_provider(gpu_model="H100", vram_gb=80)
    market.admin.approve(owner.id)
    market.connect(owner, {"gpu_status": {"gpus_present": 0, "daemon_version": "3.3.0"}})
    [listed] = answered(renter.get("/renters/available-providers"))["providers"]
    assert show(listed, "gpu_model", "gpu_type", "gpu_source", "gpu_count", "vram_mib", "gpu_factor") == {
        "gpu_model": "CPU",
        "gpu_type": "CPU",
        "gpu_source": "reported",
        "gpu_count": 0,
        "vram_mib": 0,
        "gpu_factor": 1,
    }
    for order in ({"gpu_requirements": {"gpu_type": "H100"}}, {"min_vram_gb": 8}, {"gpu_requirements": {"cuda": "12"}}):
        assert renter.submit(**order)["status"] == "queued"
        refused(renter.try_submit(**order, provider_id=owner.id), 400, "Provider does not meet GPU requirements")
    assert renter.submit()["status"] == "pending"


@pytest.mark.parametrize(
    ("said", "model", "vram_mib", "gpu_count"),
    [
        ({"gpu_spec": {"name": "H100", "vram_gb": 80, "count": 2}}, "H100", 81_920, 2),
        ({"gpu_model": "A100", "gpu_spec": {"gpu_name": "H100", "vram_mib": 40_960}}, "A100", 40_960, 1),
        ({"vram_gb": 24, "resource_spec": {"vram_mib": 8192}}, "", 24_576, 1),
        ({"resource_spec": {"vram_mib": 8192}}, "", 8192, 1),
    ],
)
def test_a_description_claims_and_then_reports(
    market: LocalMarket, said: Json, model: str, vram_mib: int, gpu_count: int
) -> None:
    """Contract 2.2 and 3.4: clients describe the machine in `gpu_spec` and `resource_spec`."""
    owner = market.register_provider(**{"gpu_model": None} | said)
    hardware = ("gpu_model", "gpu_vram_mib", "gpu_count", "gpu_source")
    assert show(owner.account(), *hardware) == dict(zip(hardware, (model, vram_mib, gpu_count, "claimed"), strict=True))
    market.admin.approve(owner.id)
    owner.heartbeat({"gpu_spec": {"gpu_name": "NVIDIA L4"}, "resource_spec": {"vram_mib": 23_034}})
    assert owner.account()["gpu_type"] == "L4"
    assert show(owner.account(), *hardware[1:]) == {"gpu_vram_mib": 23_034, "gpu_count": 1, "gpu_source": "reported"}


def test_a_gpu_that_cannot_be_gets_no_work_for_gpus_until_an_admin_decides(
    market: LocalMarket, renter: Renter, admin: Admin
) -> None:
    provider = market.add_provider({"gpu_status": {"gpu_name": "NVIDIA H100", "gpu_vram_mib": 24564, **VERSION}})
    h100 = {"gpu_requirements": {"gpu_type": "H100"}}
    waiting = renter.submit(**h100)
    assert waiting["status"] == "queued"
    # The finding outlives the server, and what the machine reports afterwards.
    market.restart()
    provider.heartbeat({"gpu_status": {"gpu_name": "NVIDIA H100", "gpu_vram_mib": 81559, **VERSION}})
    [listed] = answered(renter.get("/renters/available-providers"))["providers"]
    assert show(listed, "gpu_source", "verification", "performance", "tops_int8", "gpu_factor") == {
        "gpu_source": "reported",
        "verification": "mismatch",
        "performance": None,
        "tops_int8": None,
        "gpu_factor": 1,
    }
    words = "No H100 has 24564 MiB of VRAM"
    assert provider.account()["hardware_notice"] == words
    alerts = answered(admin.get("/admin/fleet/alerts"))["alerts"]
    assert [alert["reason"] for alert in alerts] == ["GPU_MISMATCH"]
    found = [entry for entry in answered(admin.get("/admin/audit"))["entries"] if entry["actor"] == "market"]
    assert [show(entry, "method", "path") for entry in found] == [
        {"method": "market", "path": f"/providers/{provider.id}: {words}"}
    ]
    assert renter.job(waiting["job_id"])["status"] == "queued"
    path = f"/admin/providers/{provider.id}/clear-mismatch"
    refused(admin.post(path, {}), 400, "reason is required")
    assert answered(admin.post(path, {"reason": "a typing error"}))["cleared"] == words
    assert provider.account()["verification"] is None
    assert provider.next()["job_id"] == waiting["job_id"]
