"""Every page in both languages, in light and dark, for eyes, ears and thumbs.

What they looked like lies in build/screens, with `KEEP_SCREENS=1`.
"""

from collections.abc import Callable

import pytest
from playwright.sync_api import CDPSession, expect

from dc1.testing.market import LocalMarket
from dc1.testing.people import answered
from dc1.testing.server import ADMIN_TOKEN
from tests.console.visitor import Visitor, Visitors

Key = Callable[[LocalMarket], str]
PAGES: dict[str, tuple[str, Key | None]] = {
    "offers": ("/", None),
    "market": ("/#/market", None),
    "start": ("/#/start", None),
    "nowhere": ("/#/nowhere", None),
    "sign-in": ("/console", None),
    "register": ("/console#/register?as=owner", None),
    "admin": ("/console", lambda market: ADMIN_TOKEN),
    "renter": ("/console", lambda market: market.add_renter().key),
    "owner": ("/console", lambda market: market.add_provider().key),
}
"""A page by its name: where it is, and the key of somebody who may see it."""

MANNERS = [("en", "light"), ("ar", "dark")]
"""Each language and each light once: direction and colour have nothing to do with each other."""


@pytest.fixture(scope="module")
def busy(town: LocalMarket) -> LocalMarket:
    """A market with machines, a model, and jobs that are done, run and wait."""
    daemon, renter = town.add_provider(), town.add_renter()
    town.connect(town.add_provider())
    done, *_ = [renter.submit(provider_id=daemon.id) for _ in range(4)]
    assert town.next_job(daemon)["id"] == done["id"]
    daemon.result(done["id"])
    town.next_job(daemon)
    return town


def _come(visitor: Visitor, market: LocalMarket, name: str) -> None:
    path, key = PAGES[name]
    if key is not None:
        visitor.sign_in(key(market))
    else:
        visitor.open(path)


@pytest.mark.parametrize(("language", "light"), MANNERS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole(busy: LocalMarket, visitors: Visitors, name: str, language: str, light: str) -> None:
    with visitors.one(language, light) as visitor:
        _come(visitor, busy, name)
        visitor.finds_whole(name)


def test_a_kind_of_work_has_one_price(busy: LocalMarket, visitors: Visitors) -> None:
    """However many names clients have for it."""
    with visitors.one() as visitor:
        kinds = visitor.open("/").locator("section[aria-labelledby=rates] tbody th")
        expect(kinds.filter(has_text="Language model")).to_have_count(1)
        expect(kinds.filter(has_text="older")).to_have_count(0)


def test_the_language_is_switched_without_a_reload(busy: LocalMarket, visitors: Visitors) -> None:
    with visitors.one() as visitor:
        page = visitor.open("/")
        page.evaluate("window.untouched = true")
        page.locator(".choices button[lang=ar]").click()
        page.locator("html[dir=rtl][lang=ar]").wait_for()
        assert page.locator("h1").inner_text() == "وقت بطاقات الرسوميات بالدقيقة"
        assert page.evaluate("window.untouched") is True
        # And is still that one when the reader comes back.
        assert visitor.open("/#/start").locator("h1").inner_text() == "ابدأ"


def _computed_seconds(thread: CDPSession) -> float:
    """How long the page's thread has computed so far."""
    told = thread.send("Performance.getMetrics")["metrics"]
    return float(next(each["value"] for each in told if each["name"] == "TaskDuration"))


def test_the_first_page_is_small_and_soon_in_use(busy: LocalMarket, visitors: Visitors) -> None:
    with visitors.one() as visitor:
        page = visitor.open("/")
        sent = sum(answer.request.sizes()["responseBodySize"] for answer in visitor.answers)
        assert 0 < sent <= 150_000, sent
        # A real click, as early as there is anything to click, and what came of it.
        page.goto("about:blank")
        thread = page.context.new_cdp_session(page)
        thread.send("Performance.enable", {"timeDomain": "threadTicks"})
        before = _computed_seconds(thread)
        page.goto(f"{visitor.url}/", wait_until="commit")
        page.locator(".choices button[lang=ar]").click()
        page.locator("html[dir=rtl]").wait_for()
        # By the clock of the page's thread: a machine that runs all tests at once gives it a fraction of its time.
        assert 0 < _computed_seconds(thread) - before < 1
        assert page.evaluate("performance.now()") < 10_000
        assert answered(busy.rest.get("/health"))["status"] == "ok"


def test_nothing_is_asked_for_by_the_clock_where_nobody_looks(busy: LocalMarket, visitors: Visitors) -> None:
    with visitors.one() as visitor:
        page = visitor.page
        page.clock.install()
        page.add_init_script("Object.defineProperty(document, 'hidden', { get: () => window.isAway === true })")
        visitor.open("/#/market")
        asked = len([answer for answer in visitor.answers if answer.url.endswith("/health")])
        page.evaluate("window.isAway = true")
        page.clock.fast_forward(120_000)
        with page.expect_response("**/health"):
            page.evaluate("window.isAway = false; document.dispatchEvent(new Event('visibilitychange'))")
        assert len([answer for answer in visitor.answers if answer.url.endswith("/health")]) == asked + 1


def test_it_can_be_used_by_keyboard_alone(busy: LocalMarket, visitors: Visitors) -> None:
    with visitors.one() as visitor:
        page = visitor.open("/")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        page.locator("nav a").nth(1).focus()
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="The market").wait_for()
        # Whoever hears the page is told that it is another one.
        assert page.evaluate("document.activeElement.id") == "main"
        assert page.title() == "The market · DC1"


@pytest.mark.parametrize("zone", ["Pacific/Honolulu", "Pacific/Kiritimati"])
def test_a_day_of_the_market_is_that_day_everywhere(busy: LocalMarket, visitors: Visitors, zone: str) -> None:
    """Its days begin by UTC, which is another day ten hours west and fourteen east of it."""
    renter = busy.add_renter()
    with visitors.one(zone=zone) as visitor:
        page = visitor.sign_in(renter.key)
        today = page.locator(".u-legend .u-value").first
        expect(today).to_have_text("Mar 22")
