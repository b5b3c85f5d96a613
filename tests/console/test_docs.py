"""The documentation's page with its script: a search, and calls against the market that serves it."""

import pytest
from playwright.sync_api import expect

from dc1.testing.market import LocalMarket
from tests.console.visitor import Visitors

MANNERS = [("en", "light", "/docs"), ("ar", "dark", "/docs/ar")]


@pytest.mark.parametrize(("language", "light", "path"), MANNERS)
def test_the_page_is_whole(town: LocalMarket, visitors: Visitors, language: str, light: str, path: str) -> None:
    with visitors.one(language, light) as visitor:
        page = visitor.open(path)
        for width in (360, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            # Not all of it, which is a hundred windows long.
            visitor.keep_picture(f"docs-{language}-{light}-{width}", full_page=False)
            assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def test_a_route_is_found_by_what_is_said_of_it(visitors: Visitors) -> None:
    with visitors.one() as visitor:
        page = visitor.open("/docs")
        page.get_by_label("Search").fill("withdraw iban")
        expect(page.locator("article#CreateWithdrawal")).to_be_visible()
        expect(page.locator("article#SubmitJob")).to_be_hidden()
        page.get_by_label("Search").fill("")
        expect(page.locator("article#SubmitJob")).to_be_visible()
        # As people write Arabic, without its marks.
        visitor.open("/docs/ar").get_by_label("بحث").fill("اعاده ارسال مهمه فاشله")
        expect(page.locator("article#RetryJob")).to_be_visible()
        expect(page.locator("article#SubmitJob")).to_be_hidden()


def test_a_route_is_tried_against_this_market(town: LocalMarket, visitors: Visitors) -> None:
    renter = town.add_renter()
    with visitors.one() as visitor:
        page = visitor.open("/docs")
        route = page.locator("article#GetBalance")
        route.get_by_role("button", name="Try it").click()
        route.get_by_label("Key").fill(renter.key)
        route.get_by_role("button", name="Send").click()
        expect(route.locator(".tried pre")).to_contain_text('"balance_halala": 1000')
        submit = page.locator("article#TopUp")
        submit.get_by_role("button", name="Try it").click()
        submit.get_by_label("Key").fill(renter.key)
        submit.get_by_label("Body").fill('{"amount_halala": 250}')
        submit.get_by_role("button", name="Send").click()
        expect(submit.locator(".tried pre")).to_contain_text("200")
    assert renter.balance() == 1250
