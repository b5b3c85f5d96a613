"""Operators in the console: an admin makes them, and each sees and does what the role allows."""

import pytest
from playwright.sync_api import Page, expect

from dc1.testing.market import LocalMarket
from dc1.testing.people import answered
from dc1.testing.server import ADMIN_TOKEN
from tests.console.visitor import Visitor, Visitors


def token_of(town: LocalMarket, name: str, role: str, *methods: str) -> str:
    sent = {"name": name, "role": role, "methods": methods}
    token: str = answered(town.admin.post("/admin/operators", sent), 201)["token"]
    return token


def buttons(visitor: Visitor, place: str) -> set[str]:
    """What can be done on a page, apart from what every page has."""
    visitor.page.goto(f"{visitor.url}/console#/{place}")
    visitor.settled()
    return {text for text in visitor.page.locator("main .acts button, main td button").all_inner_texts() if text}


def test_an_admin_makes_an_operator_whose_token_is_shown_once(town: LocalMarket, visitors: Visitors) -> None:
    with visitors.one() as visitor:
        page = visitor.sign_in(ADMIN_TOKEN)
        page.goto(f"{visitor.url}/console#/operators")
        page.get_by_role("button", name="Add an operator").click()
        dialog = page.get_by_role("dialog")
        dialog.locator("input[name=name]").fill("sara")
        dialog.locator("select[name=role]").select_option("finance")
        dialog.get_by_role("button", name="Add an operator").click()
        token = page.locator(".notice pre, .notice code").first.inner_text()
        assert token.startswith("dc1-operator-")
        assert answered(town.rest.get("/admin/operators/me", key=token))["operator"]["role"] == "finance"
        row = page.locator("tbody tr").filter(has_text="sara")
        row.get_by_role("button", name="Revoke").click()
        page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        expect(row.get_by_text("Revoked")).to_be_visible()
        assert town.rest.get("/admin/operators/me", key=token).status_code == 401
        page.reload()
        visitor.settled()
        assert token not in page.content()


@pytest.mark.parametrize(
    ("role", "on_renter", "on_machine", "has_prices"),
    [
        ("viewer", set(), set(), False),
        ("support", {"Limits", "Suspend"}, {"Probe"}, False),
        ("finance", {"Credit"}, set(), True),
        ("admin", {"Credit", "Limits", "Suspend"}, {"Approve", "Drain", "Reject", "Probe", "Suspend"}, True),
    ],
)
def test_each_role_is_offered_what_it_may_do(
    town: LocalMarket, visitors: Visitors, role: str, on_renter: set[str], on_machine: set[str], has_prices: bool
) -> None:
    renter, machine = town.add_renter(), town.register_provider()
    with visitors.one() as visitor:
        page = visitor.sign_in(token_of(town, f"signs-in-{role}", role))
        assert page.locator("header .name").inner_text() == f"DC1 · {role.capitalize()}"
        assert buttons(visitor, f"renters/{renter.id}") == on_renter
        assert buttons(visitor, f"machines/{machine.id}") == on_machine
        assert buttons(visitor, "approvals") == on_machine & {"Approve", "Reject"}
        assert bool(buttons(visitor, "prices")) == has_prices
        assert _is_listed(page, "Operators") == (role == "admin")


def test_a_tools_token_opens_no_console_and_says_why(town: LocalMarket, visitors: Visitors) -> None:
    token = token_of(town, "exporter", "viewer", "AdminJobService/ExportAllJobs")
    with visitors.one() as visitor:
        page = visitor.open("/console")
        page.locator("input[name=key]").fill(token)
        page.locator("input[name=key]").press("Enter")
        expect(page.get_by_text("for the methods of exporter alone")).to_be_visible()


def _is_listed(page: Page, title: str) -> bool:
    return title in page.locator("nav a").all_inner_texts()
