"""Whose pages are shown to whom, and where a key is kept."""

import pytest
from playwright.sync_api import expect

from dc1.testing.market import LocalMarket
from dc1.testing.people import answered
from dc1.testing.server import ADMIN_TOKEN
from tests.console.visitor import Visitors

_KEPT = """() => ({
  tab: Object.values(sessionStorage).join(), machine: Object.values(localStorage).join(), cookies: document.cookie,
  address: location.href, page: document.documentElement.outerHTML,
})"""


def _key(market: LocalMarket, role: str) -> str:
    if role == "admin":
        return ADMIN_TOKEN
    return market.add_renter().key if role == "renter" else market.add_provider().key


@pytest.mark.parametrize("role", ["admin", "renter", "owner"])
def test_a_key_is_kept_by_the_tab_alone_and_leaves_with_its_owner(
    town: LocalMarket, visitors: Visitors, role: str
) -> None:
    key = _key(town, role)
    with visitors.one() as visitor:
        page = visitor.sign_in(key)
        assert page.locator("header .name").inner_text() == f"DC1 · {role.capitalize()}"
        kept = page.evaluate(_KEPT)
        assert key in kept.pop("tab")
        assert not [place for place, text in kept.items() if key in text]
        # A reload asks for it in no way; another tab knows nothing of it.
        page.reload()
        visitor.settled()
        assert not [answer.url for answer in visitor.answers if key in answer.url]
        other = page.context.new_page()
        other.goto(f"{visitor.url}/console")
        expect(other.locator("input[name=key]")).to_be_visible()

        page.get_by_role("button", name="Sign out").click()
        expect(page.locator("input[name=key]")).to_be_visible()
        assert page.evaluate("sessionStorage.length") == 0


def test_who_is_signed_in_is_told_so_where_accounts_are_opened(town: LocalMarket, visitors: Visitors) -> None:
    with visitors.one("ar") as visitor:
        page = visitor.sign_in(town.add_renter().key)
        # The public pages lead there, whoever follows their links.
        visitor.open("/#/start")
        page.locator("main a[href$='#/register?as=owner']").click()
        expect(page.locator("main h1")).to_have_text("افتح حسابًا")
        visitor.finds_whole("signed-in")
        page.locator("main button.main").click()
        expect(page.locator("select")).to_have_value("owner")
        assert page.evaluate("sessionStorage.length") == 0


_KEEPS_NOTHING = """for (const name of ["localStorage", "sessionStorage"]) Object.defineProperty(window, name, {
  get() { throw new DOMException("denied", "SecurityError"); },
})"""


def test_who_lets_pages_keep_nothing_uses_them_all_the_same(town: LocalMarket, visitors: Visitors) -> None:
    with visitors.one() as visitor:
        page = visitor.page
        page.add_init_script(_KEEPS_NOTHING)
        visitor.sign_in(town.add_renter().key)
        page.locator(".choices button[lang=ar]").click()
        expect(page.locator("html[dir=rtl]")).to_be_visible()
        page.get_by_role("link", name="المحفظة").click()
        expect(page.get_by_role("heading", name="المحفظة")).to_be_visible()


def test_a_scoped_key_is_its_renters(town: LocalMarket, visitors: Visitors) -> None:
    scoped = answered(town.add_renter().post("/renters/me/keys", {"scopes": ["billing"]}), 201)["key"]
    with visitors.one() as visitor:
        assert visitor.sign_in(scoped).locator("header .name").inner_text() == "DC1 · Renter"
        visitor.wrong.clear()


def test_a_key_that_nobody_has_is_told(visitors: Visitors) -> None:
    with visitors.one() as visitor:
        page = visitor.open("/console")
        page.locator("input[name=key]").fill("dc1-renter-nobodys")
        page.locator("input[name=key]").press("Enter")
        expect(page.get_by_text("Nobody has this key")).to_be_visible()
        assert page.locator("input[name=key]").get_attribute("aria-invalid") == "true"
        # The browser itself says that an answer was 401.
        assert [text for text in visitor.wrong if "401" not in text] == []
        visitor.wrong.clear()


def test_a_key_that_ends_ends_the_session(town: LocalMarket, visitors: Visitors) -> None:
    renter = town.add_renter()
    with visitors.one() as visitor:
        page = visitor.sign_in(renter.key)
        answered(renter.post("/renters/me/rotate-key"))
        page.reload()
        expect(page.locator("input[name=key]")).to_be_visible()
        assert page.evaluate("sessionStorage.length") == 0
        visitor.wrong.clear()
