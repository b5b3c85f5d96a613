"""Refusals in Arabic, to those who like that best; others get what they always got (contract 1.3)."""

import json
from typing import Any

import httpx
import pytest

from dc1.testing.market import LocalMarket
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
