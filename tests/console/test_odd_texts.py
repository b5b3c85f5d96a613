"""What strangers write is shown as they wrote it, and runs nowhere."""

import re
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Route, expect

from dc1.testing.market import LocalMarket
from dc1.testing.people import answered
from dc1.testing.poll_daemon import REPORT
from dc1.testing.server import ADMIN_TOKEN
from tests.console.visitor import Visitors, pay_for_two_hours

NASTY = (
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "\"'><svg onload=alert(1)>",
    "{{7*7}}${7*7}",
    "javascript:alert(1)",
    "\u202eevil\u202c &lt;b&gt;",
)
ODD = "\"'><img src=x onerror=alert(1)><script>alert(1)</script>"
IBAN = "SA0380000000608010167519"
# Nothing is sent to an address that no machine could look up, and no engine is there to offer a model.
MISSING: dict[str, list[dict[str, Any]]] = {
    "deliveries": [
        {
            "delivery_id": "evt_1",
            "event": "job.failed",
            "created_at": "2026-03-22T00:00:00.000Z",
            "status": "failed",
            "attempts": 6,
            "response_status": None,
            "error": "no answer",
        }
    ],
    "data": [{"id": "model", "pricing": {}, "providers_online": 1}],
}
_PATIENCE_SECONDS = 20
CHAT = f"12345678:{'a' * 35}/-100200300"
# What is typed into fields has no text content.
_SHOWN = """document.querySelector("main").textContent
  + [...document.querySelectorAll("main input")].map(field => field.value).join()"""
_MADE = "document.querySelectorAll('main img, main svg, main script, main [onerror], main [onload]').length"
# Who looks, where, and what of it a stranger wrote; `{…}` is an id.
PAGES = {
    "offers": ("", "", f"name {ODD}"),
    "admin-approvals": ("admin", "approvals", f"waits {ODD}"),
    "admin-machines": ("admin", "machines", f"name {ODD}"),
    "admin-machine": ("admin", "machines/{machine}", f"name {ODD}"),
    "admin-refused-machine": ("admin", "machines/{refused}", f"reason {ODD}"),
    "admin-jobs": ("admin", "jobs", f"renter {ODD}"),
    "admin-job": ("admin", "jobs/{job}", f"line {ODD}"),
    "admin-renters": ("admin", "renters", f"renter {ODD}"),
    "admin-renter": ("admin", "renters/{renter}", f"note {ODD}"),
    "admin-money": ("admin", "money", f"bank {ODD}"),
    "admin-prices": ("admin", "prices", f"model {ODD}"),
    "admin-alerts": ("admin", "alerts", f"name {ODD}"),
    "renter-home": ("renter", "", f"renter {ODD}"),
    "renter-job": ("renter", "jobs/{job}", f"line {ODD}"),
    "renter-wallet": ("renter", "wallet", f"note {ODD}"),
    "renter-keys": ("renter", "keys", f"label {ODD}"),
    "owner-home": ("owner", "", f"name {ODD}"),
    "owner-machine": ("owner", "machines/{machine}", f"name {ODD}"),
    "owner-earnings": ("owner", "earnings", f"name {ODD}"),
    "owner-payouts": ("owner", "payouts", f"bank {ODD}"),
}


@pytest.fixture(scope="module")
def odd(town: LocalMarket) -> dict[str, str]:
    """A market in which everybody writes such things wherever they may; the keys and ids by which it is looked at."""
    daemon = town.register_provider(name=f"name {ODD}", location=f"place {ODD}")
    town.admin.approve(daemon.id)
    broken = {**REPORT["gpu_status"], "gpu_uuid": "GPU-1", "ecc_uncorrected_new": 2}
    failing = town.register_provider(name=f"name {ODD}")
    town.admin.approve(failing.id)
    failing.heartbeat({**REPORT, "gpu_status": broken})
    daemon.heartbeat({**REPORT, "provider_hostname": f"host {ODD}"})
    waits = town.register_provider(name=f"waits {ODD}", gpu_model=f"gpu {ODD}")
    refused = town.register_provider(name=f"refused {ODD}")
    answered(town.admin.patch(f"/admin/providers/{refused.id}/reject", {"reason": f"reason {ODD}"}))
    renter = town.add_renter(name=f"renter {ODD}", organization=f"firm {ODD}")
    answered(renter.post("/renters/me/keys", {"label": f"label {ODD}"}), 201)
    pay_for_two_hours(town, renter, daemon)
    job = renter.submit(max_retries=0, params={"prompt": f"prompt {ODD}"})
    town.next_job(daemon)
    daemon.logs(job["job_id"], [f"line {ODD}"])
    answered(daemon.try_result(job["job_id"], success=False, error=f"error {ODD}"))
    answered(town.admin.post("/admin/operators", {"name": "sara", "role": "viewer"}), 201)
    for key in (ADMIN_TOKEN, renter.key):
        answered(town.rest.post("/notifications", {"kind": "telegram", "target": CHAT}, key=key), 201)
    credit = {"amount_halala": 100, "reason": f"note {ODD}"}
    answered(town.admin.post(f"/admin/renters/{renter.id}/credit", credit))
    answered(town.admin.patch(f"/admin/token-prices/{quote(f'model {ODD}', safe='')}", {"prompt_halala": 5}))
    asked = answered(daemon.post("/providers/me/withdraw", {"amount_halala": 1000, "iban": IBAN}), 201)
    for body in ({"status": "processing"}, {"status": "paid", "bank_reference": f"bank {ODD}"}):
        answered(town.admin.patch(f"/admin/withdrawals/{asked['withdrawal_id']}", body))
    ids = {"machine": daemon.id, "refused": refused.id, "renter": renter.id, "job": job["job_id"], "waits": waits.id}
    keys = {"key:admin": ADMIN_TOKEN, "key:renter": renter.key, "key:owner": daemon.key}
    return keys | {name: str(value) for name, value in ids.items()}


@pytest.mark.parametrize("role", ["", "admin", "renter", "owner"])
def test_what_strangers_wrote_is_text_on_every_page(odd: dict[str, str], visitors: Visitors, role: str) -> None:
    with visitors.one() as visitor:
        page = visitor.sign_in(odd[f"key:{role}"]) if role else visitor.open("/")
        for name, (who, path, text) in PAGES.items():
            if who != role:
                continue
            if role:
                page.goto(f"{visitor.url}/console#/{path.format_map(odd)}")
            visitor.settled()
            expect(page.locator("main"), name).to_contain_text(text)
            assert page.evaluate(_MADE) == 0, name


# What the API takes of nobody as it is today, as if it had: put into its answers as they arrive.
BENT = (
    ("admin", "operators", "GET /admin/operators", ("name", "created_by", "methods")),
    ("admin", "notifications", "GET /notifications", ("hint", "kind", "last_error")),
    ("admin", "audit", "GET /admin/audit", ("actor", "address", "path")),
    ("admin", "machines/{machine}", "GET /admin/providers/{machine}", ("hardware_notice", "claimed_gpu_model")),
    ("renter", "notifications", "GET /notifications", ("hint", "last_error")),
    ("renter", "webhooks", "GET /renters/me", ("webhook_url",)),
    ("renter", "webhooks", "GET /renters/me/webhook-deliveries", ("event", "error")),
    ("renter", "order", "GET /containers/registry", ("images",)),
    ("renter", "playground", "GET /v1/models", ("id",)),
    ("", "", "GET /v1/models", ("id",)),
)


def _bent(told: Any, fields: Iterable[str]) -> Any:
    """What an answer tells, with an odd text in each of these fields."""
    if isinstance(told, list):
        return [_bent(each, fields) for each in told]
    if not isinstance(told, dict):
        return told
    odd = {name: [f"{name} {ODD}"] if isinstance(told.get(name), list) else f"{name} {ODD}" for name in fields}
    return {name: odd.get(name) or _bent(value, fields) for name, value in told.items()}


def _bending(fields: Iterable[str]) -> Callable[[Route], None]:
    def bend(route: Route) -> None:
        told = route.fetch().json()
        missing = {name: rows for name, rows in MISSING.items() if told.get(name) == []}
        route.fulfill(json=_bent(told | missing, fields))

    return bend


@pytest.mark.parametrize("role", ["", "admin", "renter"])
def test_an_odd_answer_is_text_too(odd: dict[str, str], visitors: Visitors, role: str) -> None:
    with visitors.one() as visitor:
        page = visitor.sign_in(odd[f"key:{role}"]) if role else visitor.open("/")
        for who, place, call, fields in BENT:
            if who != role:
                continue
            path = call.format_map(odd).removeprefix("GET ")
            page.route(re.compile(f"{re.escape(visitor.url + path)}([?].*)?$"), _bending(fields))
            # Anew, as a page that is open already would not ask again.
            page.goto("about:blank")
            visitor.open(f"/{'console' if role else ''}#/{place.format_map(odd)}")
            # Some of it comes after the page is whole. Its calls are answered by this thread, which may not sleep.
            ends = time.monotonic() + _PATIENCE_SECONDS
            while f"{fields[0]} {ODD}" not in page.evaluate(_SHOWN):
                assert time.monotonic() < ends, place
                page.wait_for_timeout(50)
            assert page.evaluate(_MADE) == 0, place
            page.unroute_all()


def test_a_machines_name_and_place_are_text(town: LocalMarket, visitors: Visitors) -> None:
    for name in NASTY:
        daemon = town.register_provider(name=name, location=name)
        town.admin.approve(daemon.id)
        answered(daemon.post("/providers/heartbeat", {"gpu_status": {"gpu_name": name[:60], "gpu_vram_mib": 24564}}))
    with visitors.one() as visitor:
        page = visitor.open("/")
        shown = page.locator("table tbody th").all_text_contents()
        for name in NASTY:
            assert name in shown
        assert page.evaluate(_MADE) == 0


def test_markup_cannot_be_made_of_text_at_all(visitors: Visitors) -> None:
    with visitors.one() as visitor:
        page = visitor.open("/")
        refused = page.evaluate("try { document.body.innerHTML = '<b>x</b>'; 'taken' } catch (error) { error.name }")
        assert refused == "TypeError"
        # The browser says so, too.
        assert all("TrustedHTML" in text or "Trusted Type" in text for text in visitor.wrong)
        visitor.wrong.clear()
