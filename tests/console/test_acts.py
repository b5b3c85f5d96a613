"""Asked once before something is done, told afterwards, and taken back where it can be."""

from typing import Any

from playwright.sync_api import Page, Route, expect

from dc1.testing.market import LocalMarket
from dc1.testing.people import answered
from tests.console.visitor import Visitors

_IMPORT = """(name) => {
  const base = document.querySelector("script[type=module]").src.replace("main.js", "");
  return import(base + name);
}"""
_ASK = f"""async () => {{
  const {{ ask }} = await ({_IMPORT})("components/dialog.js");
  window.answer = undefined;
  ask({{ title: "Suspend it?", act: "Suspend", isGrave: true }}).then(given => {{ window.answer = given === null ? "no" : "yes"; }});
}}"""
_TOAST = f"""async () => {{
  const {{ toast }} = await ({_IMPORT})("components/toast.js");
  toast("Suspended.", async () => {{ window.undone = (window.undone ?? 0) + 1; }});
}}"""
_HERE = "document.activeElement.lang"


def _asked(page: Page) -> Any:
    page.locator(".choices button[lang=ar]").focus()
    page.evaluate(_ASK)
    expect(page.get_by_role("dialog", name="Suspend it?")).to_be_visible()
    assert page.evaluate("document.activeElement.closest('dialog') !== null")
    return page


def test_an_act_is_asked_for_and_the_focus_comes_back(visitors: Visitors) -> None:
    with visitors.one() as visitor:
        page = visitor.open("/")
        for key, answer in (("Escape", "no"), ("Enter", "yes")):
            _asked(page).keyboard.press(key)
            # Gone and not only closed, of which it hears a moment later.
            expect(page.locator("dialog")).to_have_count(0)
            assert page.evaluate("window.answer") == answer
            assert page.evaluate(_HERE) == "ar"
        _asked(page).get_by_role("button", name="Cancel").click()
        expect(page.locator("dialog")).to_have_count(0)
        assert page.evaluate("window.answer") == "no"


def test_what_was_done_is_taken_back_once(visitors: Visitors) -> None:
    with visitors.one() as visitor:
        page = visitor.open("/")
        page.evaluate(_TOAST)
        # Where a screen reader hears of it without being led there.
        told = page.locator("[role=status][aria-live=polite].toasts")
        expect(told).to_contain_text("Suspended.")
        told.get_by_role("button", name="Undo").click()
        expect(told).to_contain_text("Taken back.")
        expect(told).not_to_contain_text("Suspended.")
        assert page.evaluate("window.undone") == 1


def test_what_one_did_is_not_for_the_next_to_take_back(town: LocalMarket, visitors: Visitors) -> None:
    """Nor is a question that was put to one for the next to answer."""
    renter = town.add_renter()
    with visitors.one() as visitor:
        page = visitor.sign_in(renter.key)
        page.evaluate(_TOAST)
        expect(page.get_by_role("button", name="Undo")).to_be_visible()
        page.evaluate(_ASK)
        expect(page.get_by_role("dialog")).to_be_visible()
        answered(renter.post("/renters/me/rotate-key"))
        expect(page.locator("input[name=key]")).to_be_visible()
        expect(page.locator(".toast, dialog")).to_have_count(0)
        assert page.evaluate("window.answer") == "no"
        visitor.wrong.clear()


def test_what_is_done_after_its_owner_has_left_has_no_way_back(town: LocalMarket, visitors: Visitors) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    with visitors.one() as visitor:
        page = visitor.sign_in(town.add_renter().key)
        page.goto(f"{visitor.url}/console#/webhooks")
        visitor.settled()
        page.route("**/renters/settings", hold)
        page.get_by_role("button", name="Save").click()
        page.get_by_role("button", name="Sign out").click()
        expect(page.locator("input[name=key]")).to_be_visible()
        # The page that the next may not have is none that they begin with.
        assert page.evaluate("location.hash") == "#/"
        page.locator("input[name=key]").fill(town.add_renter().key)
        page.keyboard.press("Enter")
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        (late,) = held
        with page.expect_response("**/renters/settings"):
            late.continue_()
        page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        expect(page.locator(".toast")).to_have_count(0)


def test_a_whole_visit_needs_no_pointer(town: LocalMarket, visitors: Visitors) -> None:
    """Signing in, another page, an act with its question, and the way back from it."""
    renter = town.add_renter()
    with visitors.one() as visitor:
        page = visitor.open("/console")
        visitor.tab_to("Key or token")
        page.keyboard.type(renter.key)
        page.keyboard.press("Enter")
        expect(page.locator("input[name=key]")).to_have_count(0)
        visitor.settled()
        visitor.tab_to("Keys")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Keys")).to_be_visible()
        visitor.settled()
        visitor.tab_to("Make a key")
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.type("notebook")
        page.keyboard.press("Enter")
        expect(page.locator("tbody th")).to_have_text("notebook")
        visitor.tab_to("Limits")
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.type("12.5")
        page.keyboard.press("Enter")
        expect(page.locator("tbody")).to_contain_text("12.50")
        visitor.tab_to("Undo")
        page.keyboard.press("Enter")
        expect(page.locator("tbody")).not_to_contain_text("12.50")
        visitor.tab_to("Revoke")
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Enter")
        expect(page.locator("td .badge")).to_have_text("Revoked")
