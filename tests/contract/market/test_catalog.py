"""Prices and images, as admins set them and submissions follow."""

from contextlib import closing

import httpx
import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Admin, Renter
from dc1.testing.poll_daemon import REPORT, PollDaemon
from dc1.testing.rest import Json
from dc1.testing.server import ADMIN_TOKEN
from dc1.testing.stream_daemon import StreamDaemon
from dcp.v1 import daemon_stream_pb2 as pb
from tests.contract.expect import answered, refused, show

DENIED = "Admin access denied"
IMAGE = "registry.example.sa/team/tool:1.2"


def test_a_new_price_holds_for_new_jobs(market: LocalMarket, admin: Admin, renter: Renter) -> None:
    renter.submit()
    prices = {row["job_type"]: row for row in answered(admin.get("/admin/pricing"))["prices"]}
    assert prices["llm_inference"]["rate_halala"] == 15
    market.advance(5)
    assert answered(admin.patch("/admin/pricing/llm_inference", {"rate_halala": 20})) == {
        "job_type": "llm_inference",
        "rate_halala": 20,
        "updated_at": market.now(),
    }
    assert (renter.submit()["cost_halala"], renter.job(1)["cost_halala"]) == (60, 45)
    market.restart()
    assert renter.submit()["cost_halala"] == 60


def test_prices_have_bounds_and_owners(market: LocalMarket, admin: Admin, renter: Renter, provider: PollDaemon) -> None:
    path = "/admin/pricing/training"
    refused(admin.patch(path, {}), 400, "Missing required fields: rate_halala")
    for rate in (0, 10_001, 1.5, "much"):
        refused(admin.patch(path, {"rate_halala": rate}), 400)
    refused(admin.patch("/admin/pricing/mining", {"rate_halala": 5}), 404)
    for stranger in (renter, provider):
        refused(market.rest.get("/admin/pricing", key=stranger.key), 401, DENIED)
        refused(market.rest.patch(path, {"rate_halala": 5}, key=stranger.key), 401, DENIED)
    assert renter.submit(job_type="training")["cost_halala"] == 75


def test_an_approved_image_may_run_at_once(market: LocalMarket, admin: Admin, renter: Renter) -> None:
    spec = {"image_type": "custom", "image": IMAGE}
    refused(renter.try_submit(job_type="custom_container", container_spec=spec), 400, code="IMAGE_NOT_APPROVED")
    row = answered(admin.post("/admin/containers/approve-image", {"image_ref": IMAGE, "description": "a tool"}), 201)
    assert show(row, "image_ref", "image_type", "description", "approved_at") == {
        "image_ref": IMAGE,
        "image_type": "custom",
        "description": "a tool",
        "approved_at": market.now(),
    }
    renter.submit(job_type="custom_container", container_spec=spec)
    (shown,) = answered(renter.get("/renters/jobs"))["jobs"]
    assert shown["container_image"] == IMAGE

    market.advance(5)
    again = answered(admin.post("/admin/containers/approve-image", {"image_ref": IMAGE, "image_type": "tool"}), 201)
    assert again == {**row, "image_type": "tool"}


DIGEST = "sha256:" + "0123456789abcdef" * 4


def test_an_image_is_pinned_by_its_digest(
    market: LocalMarket, admin: Admin, renter: Renter, provider: PollDaemon
) -> None:
    """Contract 3.5: who can move a tag in a registry does not decide what runs."""
    approve = "/admin/containers/approve-image"
    first = answered(admin.post(approve, {"image_ref": IMAGE}), 201)
    pinned = answered(admin.post(approve, {"image_ref": f"{IMAGE}@{DIGEST}"}), 201)
    assert pinned == {**first, "image_ref": f"{IMAGE}@{DIGEST}", "pinned": True}
    shown = answered(market.rest.get("/containers/registry"))["images"]
    assert f"{IMAGE}@{DIGEST}" in shown
    assert IMAGE not in shown
    job = renter.submit(job_type="custom_container", container_spec={"image_type": "custom", "image": IMAGE})
    assert job["container_spec"]["image"] == f"{IMAGE}@{DIGEST}"
    pulled = f"registry.example.sa/team/tool@{DIGEST}"
    assert provider.next()["container_spec"]["image"] == pulled
    daemon = StreamDaemon(market.edge.target, provider.key, REPORT)
    assert {pulled, f"{IMAGE}@{DIGEST}"} <= {*daemon.hello().approved_images}
    daemon.close()
    other = {"image_type": "custom", "image": f"{IMAGE}@sha256:{'f' * 64}"}
    refused(renter.try_submit(job_type="custom_container", container_spec=other), 400, code="IMAGE_NOT_APPROVED")
    assert answered(admin.post(approve, {"image_ref": IMAGE}), 201)["image_ref"] == f"{IMAGE}@{DIGEST}"


def test_a_connected_daemon_knows_an_image_before_it_is_offered_the_job(
    market: LocalMarket, admin: Admin, renter: Renter, provider: PollDaemon
) -> None:
    with closing(StreamDaemon(market.edge.target, provider.key, REPORT)) as daemon:
        assert IMAGE not in daemon.hello().approved_images
        answered(admin.post("/admin/containers/approve-image", {"image_ref": IMAGE}), 201)
        renter.submit(job_type="custom_container", container_spec={"image_type": "custom", "image": IMAGE})
        assert IMAGE in daemon.expect("approved_images").names
        assert daemon.expect("offer").assignment.container_spec["image"] == IMAGE


def test_a_connected_daemon_is_told_with_its_next_beat(market: LocalMarket, admin: Admin, provider: PollDaemon) -> None:
    with closing(StreamDaemon(market.edge.target, provider.key, REPORT)) as daemon:
        daemon.hello()
        row = answered(admin.post("/admin/containers/approve-image", {"image_ref": IMAGE}), 201)
        daemon.send(beat=pb.Beat(sequence=1, state=daemon.state))
        assert IMAGE in daemon.expect("approved_images").names
        answered(market.rest.rest("DELETE", f"/admin/containers/{row['id']}", key=ADMIN_TOKEN))
        daemon.send(beat=pb.Beat(sequence=2, state=daemon.state))
        assert IMAGE not in daemon.expect("approved_images").names


def test_an_image_that_was_taken_back_is_named_by_no_job(market: LocalMarket, admin: Admin, renter: Renter) -> None:
    job: Json = {"job_type": "custom_container", "container_spec": {"image_type": "custom", "image": IMAGE}}

    def remove(image_id: int | str, key: str) -> httpx.Response:
        return market.rest.rest("DELETE", f"/admin/containers/{image_id}", key=key)

    row = answered(admin.post("/admin/containers/approve-image", {"image_ref": IMAGE}), 201)
    renter.submit(**job)
    gone = {"success": True, "id": row["id"], "image_ref": IMAGE}
    assert answered(remove(row["id"], ADMIN_TOKEN)) == gone
    refused(renter.try_submit(**job), 400, code="IMAGE_NOT_APPROVED")
    assert renter.job(1)["status"] in ("queued", "pending")
    for unknown in (row["id"], 0, "x", "9" * 30):
        refused(remove(unknown, ADMIN_TOKEN), 404, "Image not found")
    refused(remove(row["id"], renter.key), 401, DENIED)


@pytest.mark.settings(image_digests_required=True)
def test_where_digests_are_required_no_job_names_an_image_without_one(
    market: LocalMarket, admin: Admin, renter: Renter, provider: PollDaemon
) -> None:
    """Clients that approve by tag are answered as ever; what the tag is decides nobody but an admin."""
    job: Json = {"job_type": "custom_container", "container_spec": {"image_type": "custom", "image": IMAGE}}
    by_tag = answered(admin.post("/admin/containers/approve-image", {"image_ref": IMAGE}), 201)
    assert by_tag["pinned"] is False
    refused(renter.try_submit(**job), 400, code="IMAGE_NOT_APPROVED")
    daemon = StreamDaemon(market.edge.target, provider.key, REPORT)
    assert [*daemon.hello().approved_images] == []
    daemon.close()
    pinned = answered(admin.post("/admin/containers/approve-image", {"image_ref": f"{IMAGE}@{DIGEST}"}), 201)
    assert pinned == {**by_tag, "image_ref": f"{IMAGE}@{DIGEST}", "pinned": True}
    assert renter.submit(**job)["container_spec"]["image"] == f"{IMAGE}@{DIGEST}"
    listed = {row["image_ref"]: row["pinned"] for row in answered(market.rest.get("/containers/registry"))["details"]}
    assert [name for name, is_pinned in listed.items() if is_pinned] == [f"{IMAGE}@{DIGEST}"]


@pytest.mark.parametrize(
    "spelling", ["python:3.11-slim", "library/python:3.11-slim", "index.docker.io/library/python:3.11-slim"]
)
@pytest.mark.parametrize("place", ["container_spec", "params"])
def test_an_image_is_known_in_every_spelling(
    admin: Admin, renter: Renter, provider: PollDaemon, spelling: str, place: str
) -> None:
    full = "docker.io/library/python:3.11-slim"
    if place == "params":
        renter.submit(job_type="custom_container", params={"image_override": spelling})
    else:
        renter.submit(job_type="custom_container", container_spec={"image_type": "custom", "image": spelling})
    assert provider.next()["container_spec"]["image"] == full
    again = answered(admin.post("/admin/containers/approve-image", {"image_ref": spelling}), 201)
    assert again["image_ref"] == full


@pytest.mark.parametrize(
    "image", [None, "", "  ", "-x", "a b", "x" * 300, "a\nb", "a/../b", "Tool:1", "a:b:c", "a@sha256:1"]
)
def test_names_that_are_no_images(admin: Admin, image: str | None) -> None:
    refused(admin.post("/admin/containers/approve-image", {"image_ref": image}), 400)


def test_images_are_approved_by_admins(market: LocalMarket, renter: Renter) -> None:
    body = {"image_ref": IMAGE}
    refused(market.rest.post("/admin/containers/approve-image", body), 401, DENIED)
    refused(renter.post("/admin/containers/approve-image", body), 401, DENIED)
