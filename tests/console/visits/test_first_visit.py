"""Somebody who has never been here, with a phone and nothing else, from the first page to what they came for."""

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from dc1.testing.market import LocalMarket
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.waiting import eventually
from tests.console.visitor import Visitor, Visitors

LANGUAGES = ("en", "ar")
_PHONE: ViewportSize = {"width": 360, "height": 760}
_WAITS = {"en": "To be approved", "ar": "بانتظار الاعتماد"}
_BEYOND = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def daemon(town: LocalMarket) -> PollDaemon:
    """The only machine, so that every job comes to it."""
    return town.add_provider()


def _opens_an_account(visitor: Visitor, role: str, email: str) -> tuple[Page, str]:
    """Come to the first page, find the way to an account from there, and go in with the key that was shown."""
    page = visitor.page
    page.set_viewport_size(_PHONE)
    visitor.open("/")
    page.locator("nav a[href='#/start']").click()
    page.locator(f"main a[href$='#/register?as={role}']").click()
    page.locator("input[name=name]").fill("نورة")
    page.locator("input[name=email]").fill(email)
    page.locator("form button[type=submit]").click()
    key = page.locator("main .code pre").inner_text()
    page.locator("main button.main").click()
    visitor.settled()
    assert page.evaluate("sessionStorage.length") > 0
    return page, key


def _fits(page: Page) -> None:
    assert page.evaluate(_BEYOND) <= 0, page.url


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_renter_comes_from_the_first_page_to_a_result(
    town: LocalMarket, daemon: PollDaemon, visitors: Visitors, language: str
) -> None:
    with visitors.one(language) as visitor:
        page, _ = _opens_an_account(visitor, "renter", f"renter-{language}@example.sa")
        _fits(page)
        page.locator("nav a[href='#/order']").click()
        visitor.settled()
        expect(page.locator("select").nth(1)).not_to_have_value("")
        _fits(page)
        page.locator("form button[type=submit]").click()
        page.locator("#timeline").wait_for()
        daemon.result(town.next_job(daemon)["job_id"], "البحر هادئ")
        expect(page.locator("main pre").filter(has_text="البحر هادئ")).to_be_visible()
        expect(page.locator("#bill")).to_be_visible()
        _fits(page)


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_owner_comes_from_the_first_page_to_a_machine_that_is_online(
    town: LocalMarket, visitors: Visitors, language: str
) -> None:
    with visitors.one(language) as visitor:
        page, key = _opens_an_account(visitor, "owner", f"owner-{language}@example.sa")
        # The line to run on the machine is what comes next.
        expect(page.locator("main .code pre")).to_contain_text("/install.sh | sh")
        _fits(page)
        page.locator("nav a[href='#/machines']").click()
        expect(page.locator("tbody .badge")).to_have_text(_WAITS[language])
        me = town.rest.get("/providers/me", key=key).json()["provider"]["id"]
        town.admin.approve(me)
        PollDaemon(town.rest, me, key).heartbeat()
        expect(page.locator("tbody .badge")).to_have_class("badge good")
        _fits(page)


# Where a row begins, nothing is written, but shade or cover may be there.
_ENDS = """(table) => { const {left, right, top} = table.getBoundingClientRect(); return {left, right, top}; }"""


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_table_that_goes_on_beyond_a_phone_is_in_shade_there(visitors: Visitors, language: str) -> None:
    with visitors.one(language) as visitor:
        page = visitor.page
        page.set_viewport_size(_PHONE)
        visitor.open("/")
        table = page.locator(".table").first
        table.scroll_into_view_if_needed()
        assert table.evaluate("table => table.scrollWidth > table.clientWidth"), "it fits, and shows nothing here"

        def blank(side: str) -> bytes:
            """Return how a spot of the first row looks that no text reaches, at an end or in the middle."""
            ends = table.evaluate(_ENDS)
            x = {"left": ends["left"] + 2, "right": ends["right"] - 5, "middle": (ends["left"] + ends["right"]) / 2}
            # Below the head, and above the letters of a row.
            return page.screenshot(clip={"x": x[side], "y": ends["top"] + 48, "width": 3, "height": 3})

        begins, goes_on = ("left", "right") if language == "en" else ("right", "left")
        # What comes above it meanwhile moves it between two looks.
        eventually(lambda: blank(begins) == blank("middle") != blank(goes_on), "shade at its end alone")
        table.evaluate("table => table.scrollBy(document.dir === 'rtl' ? -9999 : 9999, 0)")
        eventually(lambda: blank(goes_on) == blank("middle") != blank(begins), "shade at its beginning alone")
