"""Prices and images, as admins set them and submissions follow."""

import pytest

from tests.contract.expect import answered, refused, show
from tests.stack.people import Admin, Renter
from tests.stack.poll_daemon import PollDaemon
from tests.stack.stack import Stack

DENIED = "Admin access denied"
IMAGE = "registry.example.sa/team/tool:1.2"


def test_a_new_price_holds_for_new_jobs(stack: Stack, admin: Admin, renter: Renter) -> None:
    renter.submit()
    prices = {row["job_type"]: row for row in answered(admin.get("/admin/pricing"))["prices"]}
    assert prices["llm_inference"]["rate_halala"] == 15
    stack.advance(5)
    assert answered(admin.patch("/admin/pricing/llm_inference", {"rate_halala": 20})) == {
        "job_type": "llm_inference",
        "rate_halala": 20,
        "updated_at": stack.now(),
    }
    assert (renter.submit()["cost_halala"], renter.job(1)["cost_halala"]) == (60, 45)
    stack.restart()
    assert renter.submit()["cost_halala"] == 60


def test_prices_have_bounds_and_owners(stack: Stack, admin: Admin, renter: Renter, provider: PollDaemon) -> None:
    path = "/admin/pricing/training"
    refused(admin.patch(path, {}), 400, "Missing required fields: rate_halala")
    for rate in (0, 10_001, 1.5, "much"):
        refused(admin.patch(path, {"rate_halala": rate}), 400)
    refused(admin.patch("/admin/pricing/mining", {"rate_halala": 5}), 404)
    for stranger in (renter, provider):
        refused(stack.rest.get("/admin/pricing", key=stranger.key), 401, DENIED)
        refused(stack.rest.patch(path, {"rate_halala": 5}, key=stranger.key), 401, DENIED)
    assert renter.submit(job_type="training")["cost_halala"] == 75


def test_an_approved_image_may_run_at_once(stack: Stack, admin: Admin, renter: Renter) -> None:
    spec = {"image_type": "custom", "image": IMAGE}
    refused(renter.try_submit(job_type="custom_container", container_spec=spec), 400, code="IMAGE_NOT_APPROVED")
    row = answered(admin.post("/admin/containers/approve-image", {"image_ref": IMAGE, "description": "a tool"}), 201)
    assert show(row, "image_ref", "image_type", "description", "approved_at") == {
        "image_ref": IMAGE,
        "image_type": "custom",
        "description": "a tool",
        "approved_at": stack.now(),
    }
    renter.submit(job_type="custom_container", container_spec=spec)
    (shown,) = answered(renter.get("/renters/jobs"))["jobs"]
    assert shown["container_image"] == IMAGE

    stack.advance(5)
    again = answered(admin.post("/admin/containers/approve-image", {"image_ref": IMAGE, "image_type": "tool"}), 201)
    assert again == {**row, "image_type": "tool"}


@pytest.mark.parametrize("image", [None, "", "  ", "-x", "a b", "x" * 300, "a\nb"])
def test_names_that_are_no_images(admin: Admin, image: str | None) -> None:
    refused(admin.post("/admin/containers/approve-image", {"image_ref": image}), 400)


def test_images_are_approved_by_admins(stack: Stack, renter: Renter) -> None:
    body = {"image_ref": IMAGE}
    refused(stack.rest.post("/admin/containers/approve-image", body), 401, DENIED)
    refused(renter.post("/admin/containers/approve-image", body), 401, DENIED)
