"""What a browser does when answers are lost, broken or not for it."""

import pytest
from playwright.sync_api import Route, expect

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from tests.console.visitor import Visitors


@pytest.fixture(scope="module")
def renter(town: LocalMarket) -> Renter:
    town.add_provider()
    return town.add_renter()


def _lose(route: Route) -> None:
    """Let the server do it, and the browser never hear of it."""
    route.fetch()
    route.abort()


def test_an_order_whose_answer_was_lost_is_one_order(town: LocalMarket, visitors: Visitors) -> None:
    renter = town.add_renter()
    with visitors.one() as visitor:
        page = visitor.sign_in(renter.key)
        page.goto(f"{visitor.url}/console#/order")
        expect(page.get_by_label("Container image")).not_to_have_value("")
        page.route("**/jobs/submit", _lose, times=1)
        order = page.get_by_role("button", name="Order the job")
        order.click()
        expect(page.locator(".toast.bad")).to_contain_text("cannot be reached")
        order.click()
        page.get_by_role("heading", name="What happened").wait_for()
        assert len(renter.get("/jobs").json()["jobs"]) == 1
        # The answer that was lost, which the browser tells of.
        (lost,) = visitor.wrong
        assert "ERR_FAILED" in lost
        visitor.wrong.clear()


@pytest.mark.parametrize("role", ["renter", "owner"])
def test_an_account_whose_key_was_lost_is_opened_once_and_tells_it(
    town: LocalMarket, visitors: Visitors, role: str
) -> None:
    with visitors.one() as visitor:
        page = visitor.open(f"/console#/register?as={role}")
        page.get_by_label("Name").fill("Noura")
        page.get_by_label("E-mail").fill(f"lost-{role}@example.sa")
        page.route("**/register", _lose, times=1)
        send = page.get_by_role("button", name="Open an account")
        send.click()
        expect(page.locator(".notice.bad")).to_contain_text("cannot be reached")
        send.click()
        key = page.locator("main .code pre").inner_text()
        assert town.rest.get("/renters/me" if role == "renter" else "/providers/me", key=key).status_code == 200
        (lost,) = visitor.wrong
        assert "ERR_FAILED" in lost
        visitor.wrong.clear()


def test_a_proxy_s_page_is_said_in_words(renter: Renter, visitors: Visitors) -> None:
    with visitors.one() as visitor:
        page = visitor.sign_in(renter.key)
        page.route("**/renters/balance", lambda route: route.fulfill(status=502, body="<html>Bad gateway"))
        page.get_by_role("link", name="Wallet").click()
        expect(page.locator(".notice.bad").first).to_contain_text("cannot be reached")
        # The page asks again until it is answered, though nothing else on it moves.
        with page.expect_response("**/renters/balance"):
            pass
        page.unroute("**/renters/balance")
        expect(page.locator(".notice.bad")).to_have_count(0)
        visitor.wrong.clear()


@pytest.mark.parametrize("id_", ["..", ".", "%2e%2e"])
def test_a_link_calls_no_other_route_than_its_page(renter: Renter, visitors: Visitors, id_: str) -> None:
    with visitors.one() as visitor:
        page = visitor.sign_in(renter.key)
        page.goto(f"{visitor.url}/console#/jobs/{id_}")
        expect(page.locator(".notice.bad")).to_be_visible()
        asked = {answer.url.removeprefix(visitor.url) for answer in visitor.answers}
        assert not asked & {"/", "/lifecycle/stream", "/logs/stream"}


def test_a_page_that_breaks_is_left_for_another(renter: Renter, visitors: Visitors) -> None:
    """As it does where a server of another release answers it in a way it does not know."""
    with visitors.one() as visitor:
        page = visitor.sign_in(renter.key)
        page.route("**/v1/models", lambda route: route.fulfill(json={}))
        page.get_by_role("link", name="Playground").click()
        expect(page.get_by_role("heading", name="This page cannot be shown")).to_be_visible()
        page.get_by_role("link", name="Wallet").click()
        expect(page.get_by_role("heading", name="Wallet")).to_be_visible()
        expect(page.locator(".notice.bad")).to_have_count(0)


def test_a_page_that_does_not_come_is_said_in_words_and_asked_for_again(renter: Renter, visitors: Visitors) -> None:
    with visitors.one("ar") as visitor:
        page = visitor.sign_in(renter.key)
        page.route("**/pages/renter/wallet.js", lambda route: route.abort(), times=1)
        page.locator("nav a[href='#/wallet']").click()
        refused = page.locator(".notice.bad")
        expect(refused).to_contain_text("تعذّر الوصول إلى الخادم")
        refused.get_by_role("button").click()
        expect(page.get_by_role("heading", name="المحفظة")).to_be_visible()
        # The answer that was lost, which the browser tells of.
        (lost,) = visitor.wrong
        assert "ERR_FAILED" in lost
        visitor.wrong.clear()


@pytest.mark.parametrize(("role", "name"), [("link", "Wallet"), ("button", "Sign out")])
def test_a_page_that_is_left_closes_its_stream(renter: Renter, visitors: Visitors, role: str, name: str) -> None:
    with visitors.one() as visitor:
        page = visitor.sign_in(renter.key)
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        with page.expect_event("requestfailed", lambda request: request.url.endswith("/jobs/stream")):
            page.locator("header").get_by_role(role, name=name, exact=True).click()  # type: ignore[arg-type]
