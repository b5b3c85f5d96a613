"""Contract 4.3: machines are what was reported and measured, whatever their owners claim."""

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from tests.contract.expect import answered, refused, show


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
