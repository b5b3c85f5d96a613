"""Templates, and what lists of the market can be asked for: the rest is refused."""

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Admin, Renter
from dc1.testing.poll_daemon import MODEL, REPORT
from dc1.testing.rest import Rest
from dc1.testing.server import ADMIN_TOKEN
from tests.contract.expect import answered, refused, show


def test_every_template_is_accepted_as_it_is(rest: Rest, renter: Renter) -> None:
    renter.top_up(10_000)
    templates = answered(rest.get("/templates"))["templates"]
    assert templates
    for template in templates:
        job = renter.submit(
            show(template, "job_type", "duration_minutes", "params"),
            container_spec={"image_type": template["image_type"]},
            gpu_requirements={"min_vram_gb": template["min_vram_gb"]} if template["min_vram_gb"] else None,
        )
        assert renter.job(job["id"])["params"] == template["params"]


def test_a_template_says_what_runs_it_and_what_it_costs(rest: Rest, admin: Admin, renter: Renter) -> None:
    answered(admin.patch("/admin/pricing/custom_container", {"rate_halala": 30}))
    template = answered(rest.get("/templates/pytorch"))
    assert template["estimated_price_sar_per_hour"] == 18
    assert template in answered(rest.get("/templates"))["templates"]
    for spec in ({"image_type": template["image"]}, {"image_type": "custom", "image": template["image"]}):
        job = renter.submit(job_type="custom_container", container_spec=spec)
        assert job["container_spec"]["image"] == template["image"]
    refused(rest.get("/templates/none"), 404, "Template not found")


def test_templates_by_tag_and_page_by_page(rest: Rest) -> None:
    def ids(query: str) -> tuple[list[str], int]:
        body = answered(rest.get(f"/templates?{query}"))
        assert body["count"] == body["total"]
        return [template["id"] for template in body["templates"]], body["total"]

    assert ids("tag=Container") == (["gpu-report", "python", "pytorch"], 3)
    assert ids("tag=container&offset=1&limit=1") == (["python"], 3)
    assert ids("tag=none") == ([], 0)


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("/templates?status=new", "tag, limit, offset"),
        ("/models?model=x", "limit, offset"),
        ("/admin/pricing?limit=1", "none"),
        ("/jobs?gpu_type=H100&limit=1", "limit, offset, status"),
        ("/renters/available-providers?sort=price", None),
    ],
)
def test_a_list_refuses_what_it_cannot_filter_by(market: LocalMarket, renter: Renter, path: str, known: str) -> None:
    key = ADMIN_TOKEN if path.startswith("/admin") else renter.key
    answer = market.rest.get(path, key=key)
    refused(answer, 400, known and f"Invalid filter. Allowed: {known}", code="INVALID_ENUM")
    answered(market.rest.get(f"{path.partition('?')[0]}?utm_source=x&_=1&limits=1", key=key))


LISTS_OF_PROVIDERS = ("/renters/available-providers", "/providers/available", "/providers/public")


@pytest.mark.parametrize("path", LISTS_OF_PROVIDERS)
def test_providers_that_fit(market: LocalMarket, admin: Admin, path: str) -> None:
    def found(query: str) -> list[int]:
        answer = market.rest.get(f"{path}?{query}")
        assert answer.status_code == 200
        body = answer.json()
        rows = body if isinstance(body, list) else body["providers"]
        if not isinstance(body, list) and "limit" not in query and "offset" not in query:
            assert body["total"] == len(rows)
        return [row["id"] for row in rows]

    places = (("NVIDIA GeForce RTX 4090", 24_564, "Riyadh"), ("NVIDIA H100 80GB HBM3", 81_559, "Jeddah, SA"))
    for gpu_name, vram_mib, place in places:
        provider = market.register_provider(location=place)
        admin.approve(provider.id)
        status = {**REPORT["gpu_status"], "gpu_name": gpu_name, "gpu_vram_mib": vram_mib}
        provider.heartbeat({**REPORT, "gpu_status": status})
    assert found("") == [2, 1]
    assert found("gpu_type=h100") == found("gpu_model=NVIDIA%20H100") == found("min_vram_gb=25") == [2]
    assert found("gpu_type=RTX4090") == found("region=riyadh") == found("location=RIYADH") == [1]
    assert found("min_vram_gb=24") == found("gpu_source=reported") == [2, 1]
    assert found("gpu_source=measured") == []
    assert found("gpu_type=L4") == found("min_vram_gb=81") == found("max_price_per_hour_sar=0.5") == []
    assert found(f"model={MODEL}&max_price_per_hour_sar=1000") == [2, 1]
    assert (found("limit=1"), found("offset=1"), found("limit=1&offset=2")) == ([2], [1], [])
    for wrong in ("limit=0", "offset=-1", "min_vram_gb=NaN", "gpu_source=said"):
        refused(market.rest.get(f"{path}?{wrong}"), 400)
