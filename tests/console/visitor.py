"""Somebody with a browser, who sees what it says on its console and what a screen reader would not."""

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Response, expect

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import PollDaemon

ROOT = Path(__file__).parents[2]
SCREENS = ROOT / "build/screens"
"""Where every page is kept as it looked, for people to look at, with `KEEP_SCREENS=1`."""

_KEEPS_SCREENS = os.environ.get("KEEP_SCREENS") == "1"

_AXE = ROOT / "node_modules/axe-core/axe.min.js"
_FLAGS = [
    *("--no-sandbox", "--disable-quic", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"),
    # There is no card to draw with; to act one costs a core more than to draw without.
    *("--disable-gpu", "--disable-software-rasterizer"),
]
_PATIENCE_MS = 20_000
# Of every expectation: the machine runs other tests as well.
expect.set_options(timeout=_PATIENCE_MS)
_WIDTHS = {360: 760, 768: 1024, 1440: 900}
WIDTHS = tuple(_WIDTHS)
_MOST_TABS = 200
_FOCUSED = "document.activeElement.innerText || document.activeElement.labels?.[0]?.innerText"
# Names and code come from outside the catalogues, and stand in these; so does what says another language's name.
_LEFT_IN_LATIN = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    if (parent.closest('bdi, code, pre, [lang=en], [translate=no], .name, script, noscript')) continue;
    found.push(...(walker.currentNode.data.match(/[A-Za-z]{3,}/g) ?? []));
  }
  return found;
}"""
# Money and acts that a row has no room for; who sees half of a price or of a button is misled.
_CUT_OFF = """[...document.querySelectorAll(".table td.number, .table td:has(button)")]
  .filter(cell => cell.scrollWidth > cell.clientWidth + 1).map(cell => cell.textContent)"""
# Abbreviations that are the same in Arabic.
_SAME_IN_BOTH = {"OpenAI", "RTX", "INT", "GPU", "HTTPS", "CSV", "LLM"}


class Visitor:
    """One tab, in a language and a light; everything that went wrong in it is kept."""

    def __init__(self, page: Page, url: str, language: str, light: str) -> None:
        self.page = page
        self.url = url
        self.language = language
        self._light = light
        self.wrong: list[str] = []
        self.answers: list[Response] = []
        page.set_default_timeout(_PATIENCE_MS)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("response", self._answered)

    @property
    def browser(self) -> Browser:
        """The browser, which all visitors share."""
        found = self.page.context.browser
        assert found is not None
        return found

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(message.text)

    def _answered(self, answer: Response) -> None:
        self.answers.append(answer)

    def open(self, path: str) -> Page:
        """Open a page of the market, and wait until it shows what it asked for."""
        self.page.goto(f"{self.url}{path}")
        self.settled()
        return self.page

    def settled(self) -> None:
        """Wait until the page has its heading and what it asked for; streams never end, and are not waited for."""
        self.page.locator("main h1").first.wait_for()
        # By locators alone: what waits for a condition in the page is evaluated there, which the page's policy forbids.
        expect(self.page.locator(".loading")).to_have_count(0)
        expect(self.page.locator(".plot:not(:has(canvas))")).to_have_count(0)

    def sign_in(self, key: str) -> Page:
        """Sign in to the console."""
        page = self.open("/console")
        page.locator("input[name=key]").fill(key)
        page.locator("form button[type=submit]").click()
        page.locator("input[name=key]").wait_for(state="detached")
        self.settled()
        return page

    def tab_to(self, name: str) -> None:
        """Go on by the Tab key until the focus is on what is called so, as who has no pointer does."""
        for _ in range(_MOST_TABS):
            self.page.keyboard.press("Tab")
            if self.page.evaluate(_FOCUSED) == name:
                return
        raise AssertionError(f"no way to {name} by Tab")

    def tries_every_act(self, at_once: Collection[str]) -> set[str]:
        """Reach each button of a page by keyboard, press it and cancel what it asks, but for acts that do not ask."""
        buttons = self.page.locator("main :not(th) > button:visible")
        # In the order of the page, so that the next one is always further on.
        names = [name for name in dict.fromkeys(buttons.all_inner_texts()) if name]
        for name in names:
            self.tab_to(name)
            if name in at_once:
                continue
            self.page.keyboard.press("Enter")
            dialog = self.page.locator("dialog")
            expect(dialog).to_be_visible()
            assert self.page.evaluate("document.activeElement.closest('dialog') !== null"), name
            self.page.keyboard.press("Escape")
            expect(dialog).to_have_count(0)
            assert self.page.evaluate(_FOCUSED) == name, f"the focus does not come back to {name}"
        return set(names)

    def audit(self) -> list[str]:
        """Return what axe finds serious, with where."""
        self.page.evaluate(_AXE.read_text(encoding="utf-8") + ";undefined")
        found: Mapping[str, Any] = self.page.evaluate("axe.run({resultTypes: ['violations']})")
        return [
            f"{rule['id']}: {node['target']} {node['failureSummary']}"
            for rule in found["violations"]
            if rule["impact"] in ("serious", "critical")
            for node in rule["nodes"]
        ]

    def left_in_latin(self) -> set[str]:
        """Return words of the page that are in no Arabic catalogue."""
        return set(self.page.evaluate(_LEFT_IN_LATIN)) - _SAME_IN_BOTH

    def keep_picture(self, name: str, *, full_page: bool = True) -> None:
        """Keep what the page looks like, if anybody wants to look: to draw all of it takes a second of a core."""
        if _KEEPS_SCREENS:
            # To pack one as PNG takes a third of a second of a core more, of hundreds.
            self.page.screenshot(path=SCREENS / f"{name}.jpg", type="jpeg", quality=80, full_page=full_page)

    def looks(self, name: str) -> None:
        """Look at every width; nothing may reach beyond the window."""
        for width in WIDTHS:
            self.page.set_viewport_size({"width": width, "height": _WIDTHS[width]})
            # Two frames: one to lay out, one for plots that follow their place.
            self.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
            self.keep_picture(f"{name}-{width}")
            beyond = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert beyond <= 0, f"{name} is {beyond} px wider than {width}"
            assert self.page.evaluate(_CUT_OFF) == [], f"{name} at {width}"

    def finds_whole(self, name: str) -> None:
        """Keep how the page looks, and find nothing wrong with it for eyes, ears and thumbs."""
        self.looks(f"{name}-{self.language}-{self._light}")
        assert self.page.evaluate("document.documentElement.dir") == ("rtl" if self.language == "ar" else "ltr"), name
        assert self.audit() == [], name
        if self.language == "ar":
            assert self.left_in_latin() == set(), name


class Visitors:
    """A browser whose tabs share nothing."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self._url = url

    @contextmanager
    def one(self, language: str = "en", light: str = "light", zone: str | None = None) -> Iterator[Visitor]:
        """Come with a browser in this language and time zone; whatever it complained of fails the test."""
        scheme: Any = light
        context = self._browser.new_context(
            locale=language, color_scheme=scheme, reduced_motion="reduce", timezone_id=zone
        )
        visitor = Visitor(context.new_page(), self._url, language, light)
        try:
            yield visitor
        finally:
            context.close()
        wrong = visitor.wrong
        assert wrong == [], wrong


def launch(playwright: Playwright, program: str) -> Browser:
    """Start the machine's own browser, which can reach nothing but this machine."""
    return playwright.chromium.launch(executable_path=program, args=_FLAGS)


def pay_for_two_hours(town: LocalMarket, renter: Renter, machine: PollDaemon) -> None:
    """Have a renter pay enough for a payout, for a job that nearly took two hours."""
    renter.top_up(10_000)
    renter.submit(duration_minutes=120, max_duration_seconds=7200)
    job = town.next_job(machine)
    town.advance(7000)
    machine.heartbeat()
    machine.result(job["job_id"])
