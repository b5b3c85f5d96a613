"""Sessions that end without their owner: the key stopped, or nobody used the tab."""

from playwright.sync_api import expect

from dc1.testing.market import LocalMarket
from dc1.testing.people import answered
from tests.console.visitor import Visitors

_STAY = "Stay signed in"


def test_a_key_that_is_replaced_ends_its_session_with_a_sentence(town: LocalMarket, visitors: Visitors) -> None:
    """Without a reload: its streams end, and the next one is refused."""
    renter = town.add_renter()
    with visitors.one() as visitor:
        page = visitor.sign_in(renter.key)
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        answered(renter.post("/renters/me/rotate-key"))
        expect(page.get_by_role("alert")).to_contain_text("your key does not work any more")
        assert page.evaluate("sessionStorage.length") == 0
        # The browser itself says that an answer was 401.
        assert [text for text in visitor.wrong if "401" not in text] == []
        visitor.wrong.clear()


def test_a_tab_that_nobody_uses_is_signed_out_after_a_warning(town: LocalMarket, visitors: Visitors) -> None:
    renter = town.add_renter()
    with visitors.one() as visitor:
        page = visitor.page
        page.clock.install()
        visitor.sign_in(renter.key)
        page.clock.fast_forward("29:10")
        expect(page.get_by_role("button", name=_STAY)).to_be_visible()
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name=_STAY)).to_have_count(0)
        page.clock.fast_forward("29:10")
        expect(page.get_by_role("button", name=_STAY)).to_be_visible()
        page.clock.fast_forward("01:00")
        expect(page.get_by_role("alert")).to_contain_text("nobody used this tab")
        expect(page.locator("input[name=key]")).to_be_visible()
        assert page.evaluate("sessionStorage.length") == 0
        # A browser that brings its tabs back later brings back no session that was over by then.
        visitor.sign_in(renter.key)
        page.evaluate("sessionStorage.setItem('dc1.used', String(Date.now() - 31 * 60_000))")
        page.reload()
        expect(page.locator("input[name=key]")).to_be_visible()


def test_who_wakes_a_machine_that_slept_finds_nobody_signed_in(town: LocalMarket, visitors: Visitors) -> None:
    """Its timers come after the first move of whoever woke it."""
    with visitors.one() as visitor:
        page = visitor.page
        page.clock.install()
        visitor.sign_in(town.add_renter().key)
        # The time passes and no timer fires, as in sleep.
        page.clock.pause_at(page.evaluate("Date.now() / 1000 + 60"))
        page.clock.set_system_time(page.evaluate("Date.now() / 1000 + 31 * 60"))
        page.mouse.move(50, 50)
        page.mouse.move(60, 60)
        page.clock.resume()
        expect(page.get_by_role("alert")).to_contain_text("nobody used this tab")


def test_a_stream_that_breaks_says_so_and_comes_back(town: LocalMarket, visitors: Visitors) -> None:
    renter = town.add_renter()
    with visitors.one() as visitor:
        page = visitor.sign_in(renter.key)
        live = page.locator(".liveness")
        expect(live).to_have_text("Live")
        town.stop_server()
        expect(live).to_contain_text("The connection broke")
        town.start_server()
        expect(live).to_have_text("Live")
        job = renter.submit()
        expect(page.locator(".table tbody")).to_contain_text(job["job_id"])
        visitor.wrong.clear()
