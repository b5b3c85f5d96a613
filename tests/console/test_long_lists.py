"""Ten thousand machines, listed and filtered while the page stays smooth."""

import copy
import json

from playwright.sync_api import expect

from dc1.testing.market import LocalMarket
from tests.console.visitor import Visitors

MACHINES = 10_000
STALL_MS = 100
_TASK = "ThreadControllerImpl::RunTask"
_PATIENCE_MS = 60_000


def _crowd(market: LocalMarket) -> None:
    """Have the server know so many machines, each like one that was heard; daemons would take minutes to come."""
    market.add_provider()
    fleet = market.server.market.fleet
    (first,) = fleet

    async def fill() -> None:
        for number in range(2, MACHINES + 1):
            one = copy.copy(first)
            # Of each its own, as the fleet moves it among its queues; the rest is read only.
            one.presence = copy.copy(first.presence)
            one.id, one.name, one.location = number, f"Machine {number}", ("Riyadh", "Jeddah")[number % 2]
            fleet.add(one)

    market.edge.loop.run(fill())


def _longest_ms(trace: bytes, url: str) -> float:
    """Return the longest that a page computed without a pause, by its thread's own clock: others run here, too."""
    events = json.loads(trace)["traceEvents"]
    # Pages of the browser's own, such as the list below its address bar, have threads of that name as well.
    pages = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "ParseHTML" and event["args"]["beginData"]["url"].startswith(url)
    }
    tasks: list[int] = [
        e["tdur"] for e in events if e["name"] == _TASK and "tdur" in e and (e["pid"], e["tid"]) in pages
    ]
    assert tasks, "the browser told of no task"
    return max(tasks) / 1000


def test_ten_thousand_machines_are_listed_and_filtered_without_a_stall(town: LocalMarket, visitors: Visitors) -> None:
    _crowd(town)
    with visitors.one() as visitor:
        page, browser = visitor.page, visitor.browser
        browser.start_tracing(page=page, categories=["toplevel", "devtools.timeline"])
        visitor.open("/")
        shown = page.locator("p[role=status]").first
        expect(shown).to_contain_text(f"of {MACHINES:,}", timeout=_PATIENCE_MS)
        for text, found in (("machine 99", "111"), ("machine 9999", "1"), ("riyadh", "5,000"), ("", f"{MACHINES:,}")):
            page.get_by_role("searchbox").fill(text)
            expect(shown).to_contain_text(f"{found} machine")
        page.get_by_role("button", name="Machine").click()
        page.locator(".table").first.evaluate("place => { place.scrollTop = 200_000 }")
        expect(page.locator("tbody tr[aria-rowindex='4546']")).to_be_visible()
        longest_ms = _longest_ms(browser.stop_tracing(), visitor.url)
        assert 0 < longest_ms <= STALL_MS
        assert page.locator("tbody tr").count() < 200
