"""Refusals in Arabic, to those who like that best; others get what they always got (contract 1.3)."""

import json
from typing import Any

import httpx
import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import J3
from dc1.testing.rest import Json
from dc1.testing.server import ADMIN_TOKEN

ARABIC = {"accept-language": "ar-SA,ar;q=0.9,en;q=0.8"}
# Of the server, of rules of fields, and of the edge itself.
REFUSED: list[tuple[str, str, dict[str, Any], str]] = [
    ("GET", "/jobs/999999", {"key": ADMIN_TOKEN}, "المهمة غير موجودة"),
    ("GET", "/renters/me", {}, "مفتاح API مطلوب"),
    ("POST", "/renters/register", {"json": {}}, "حقول مطلوبة ناقصة: name, email"),
    ("POST", "/renters/register", {"content": b"{"}, "نص الطلب ليس JSON صالحًا"),
    ("GET", "/templates?limit=many", {}, "بعض الحقول غير صالحة"),
    ("GET", "/nowhere", {}, "غير موجود"),
    ("GET", "/jobs/%ff", {}, "عنوان الطلب غير صالح"),
    ("GET", "/v1/models/nobodys", {}, "النموذج 'nobodys' غير موجود"),
    ("GET", "/v1/nowhere", {}, "غير موجود"),
    ("POST", "/v1/messages", {"json": {}, "key": "dc1-renter-nobodys"}, "مفتاح API غير صالح"),
    ("GET", "/v1/messages/nowhere", {}, "غير موجود"),
]


def detail(response: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = response.json()
    return body["error"] if isinstance(body["error"], dict) else body


@pytest.mark.parametrize(
    ("verb", "path", "call", "text"), REFUSED, ids=[f"{verb} {path}" for verb, path, *_ in REFUSED]
)
def test_a_refusal_in_arabic(quiet_market: LocalMarket, verb: str, path: str, call: dict[str, Any], text: str) -> None:
    ask = quiet_market.rest.rest
    plain, said = ask(verb, path, **call), ask(verb, path, headers=ARABIC, **call)

    assert said.status_code == plain.status_code >= 400
    assert detail(said).pop("message_ar") == text
    without = json.loads(said.text)
    (without["error"] if isinstance(without["error"], dict) else without).pop("message_ar")
    assert without == plain.json()

    english = ask(verb, path, headers={"accept-language": "en;q=0.9,ar;q=0.1"}, **call)
    assert english.content == plain.content


def test_why_nobody_would_start_a_job_and_what_is_wrong_with_a_gpu_is_told_in_arabic(quiet_market: LocalMarket) -> None:
    renter, provider = quiet_market.add_renter(), quiet_market.add_provider()
    wanted = {**J3, "gpu_requirements": {"gpu_type": "H200"}}
    asked = [renter.post("/jobs/estimate", wanted, headers=headers).json() for headers in (ARABIC, {})]
    assert [told.get("reason_ar") for told in asked] == ["ليس في جهاز هذه البطاقة", None]
    assert asked[0]["reason"] == asked[1]["reason"]
    provider.heartbeat({"gpu_status": {"gpu_name": "RTX 4090", "gpu_uuid": "GPU-1", "xid_errors": [79]}})
    path = f"/admin/providers/{provider.id}"
    for told in (provider.get("/providers/me", headers=ARABIC), quiet_market.admin.get(path, headers=ARABIC)):
        assert told.json()["provider"]["hardware_notice_ar"].startswith("لا تُعطى البطاقة GPU-1 عملًا: Xid 79")
    assert "hardware_notice_ar" not in provider.account()


def test_what_the_market_says_of_a_job_is_told_in_arabic_beside_the_english(quiet_market: LocalMarket) -> None:
    market = quiet_market
    renter, provider = market.add_renter(), market.add_provider()
    waiting = renter.submit(J3, gpu_requirements={"gpu_type": "H200"})
    failed = renter.submit(J3, provider_id=provider.id)
    assert market.next_job(provider)["id"] == failed["id"]
    provider.try_result(failed["id"], success=False, error="exited with status 3")

    def told(path: str, **headers: str) -> Json:
        answer: Json = market.rest.get(path, key=renter.key, headers=headers).json()
        return answer

    for path, field, arabic in (
        (f"/jobs/{waiting['id']}", "waiting_for", "ليس في جهاز هذه البطاقة"),
        (f"/jobs/{failed['id']}", "error", "انتهى البرنامج برمز الخروج 3"),
    ):
        plain, both = told(path)["job"], told(path, **ARABIC)["job"]
        assert plain == {name: value for name, value in both.items() if not name.endswith("_ar")}
        assert (both[f"{field}_ar"], f"{field}_ar" in plain) == (arabic, False)
    lines = told(f"/jobs/{failed['id']}/invoice", **ARABIC)["lines"]
    assert lines
    assert all(line["description_ar"] != line["description"] for line in lines)
    assert not any("description_ar" in line for line in told(f"/jobs/{failed['id']}/invoice")["lines"])
