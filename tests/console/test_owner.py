"""An owner's pages in a real browser, with machines that beat and jobs that paid."""

import pytest
from playwright.sync_api import expect

from dc1.testing.market import LocalMarket
from dc1.testing.poll_daemon import PollDaemon
from tests.console.visitor import Visitors, pay_for_two_hours

PAGES = ("", "machines", "earnings", "payouts", "rules", "notifications", "install")
MANNERS = [("en", "dark"), ("ar", "light")]
IBAN = "SA0380000000608010167519"


@pytest.fixture(scope="module")
def owner(town: LocalMarket) -> PollDaemon:
    """One with two machines, of which the first was paid for a job."""
    owner = town.add_provider()
    town.add_machine(owner, name="<b>second</b>")
    renter = town.add_renter()
    pay_for_two_hours(town, renter, owner)
    return owner


@pytest.mark.parametrize(("language", "light"), MANNERS)
def test_every_page_is_whole(owner: PollDaemon, visitors: Visitors, language: str, light: str) -> None:
    with visitors.one(language, light) as visitor:
        page = visitor.sign_in(owner.key)
        for name in (*PAGES, f"machines/{owner.id}"):
            page.goto(f"{visitor.url}/console#/{name}")
            visitor.settled()
            visitor.finds_whole(f"owner-{name.replace('/', '-') or 'home'}")


def test_a_machine_is_paused_and_the_act_taken_back(owner: PollDaemon, visitors: Visitors) -> None:
    with visitors.one() as visitor:
        page = visitor.sign_in(owner.key)
        page.goto(f"{visitor.url}/console#/machines/{owner.id}")
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_role("button", name="Resume")).to_be_visible()
        assert owner.account()["is_paused"] is True
        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
        assert owner.account()["is_paused"] is False


def test_a_machine_is_added_with_a_key_that_is_shown_once(owner: PollDaemon, visitors: Visitors) -> None:
    with visitors.one() as visitor:
        page = visitor.sign_in(owner.key)
        page.goto(f"{visitor.url}/console#/machines")
        page.get_by_role("button", name="Add a machine").click()
        page.get_by_role("dialog").get_by_label("Name").fill("Third")
        page.get_by_role("dialog").get_by_role("button", name="Add a machine").click()
        assert page.locator(".notice pre").inner_text().startswith("dc1-provider-")
        expect(page.locator("tbody th").filter(has_text="Third")).to_be_visible()
        # What a stranger called one is a name.
        expect(page.locator("tbody th").filter(has_text="<b>second</b>")).to_be_visible()
        page.goto(f"{visitor.url}/console#/machines/99999")
        expect(page.get_by_text("No machine of yours has this number.")).to_be_visible()


def test_a_machine_is_renamed_and_gets_a_new_key(town: LocalMarket, owner: PollDaemon, visitors: Visitors) -> None:
    machine = town.add_machine(owner, name="Left")
    with visitors.one() as visitor:
        page = visitor.sign_in(owner.key)
        page.goto(f"{visitor.url}/console#/machines/{machine.id}")
        page.get_by_role("button", name="Rename").click()
        page.get_by_role("dialog").get_by_label("Name").fill("Right")
        page.get_by_role("dialog").get_by_role("button", name="Save").click()
        expect(page.get_by_role("heading", name="Machine Right")).to_be_visible()
        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_role("heading", name="Machine Left")).to_be_visible()
        page.get_by_role("button", name="New key").click()
        page.get_by_role("dialog").get_by_role("button", name="New key").click()
        key = page.locator(".notice pre").inner_text()
    assert town.rest.get("/providers/jobs/next", key=key).status_code == 200


def test_a_payout_is_asked_for(owner: PollDaemon, visitors: Visitors) -> None:
    before = owner.earnings()["claimable_earnings_halala"]
    assert before >= 1000
    with visitors.one() as visitor:
        page = visitor.sign_in(owner.key)
        page.goto(f"{visitor.url}/console#/payouts")
        page.get_by_label("Amount").fill("10")
        page.get_by_label("IBAN").fill(IBAN)
        page.get_by_role("button", name="Ask for a payout").click()
        dialog = page.get_by_role("dialog", name="Have this paid out?")
        expect(dialog).to_contain_text("This cannot be taken back.")
        dialog.get_by_role("button", name="Ask for a payout").dblclick()
        expect(page.locator("td .badge")).to_have_text("Waiting")
    assert owner.earnings()["claimable_earnings_halala"] == before - 1000


def test_what_a_job_earned_is_there_when_it_has_ended(town: LocalMarket, owner: PollDaemon, visitors: Visitors) -> None:
    with visitors.one() as visitor:
        page = visitor.sign_in(owner.key)
        done = page.locator(".figures div").filter(has_text="Jobs done").locator("dd")
        before = int(done.inner_text())
        town.add_renter().submit(provider_id=owner.id)
        owner.result(town.next_job(owner)["job_id"])
        expect(done).to_have_text(str(before + 1))


def test_the_ask_is_saved_with_what_it_means_beside_it(owner: PollDaemon, visitors: Visitors) -> None:
    with visitors.one() as visitor:
        page = visitor.sign_in(owner.key)
        page.goto(f"{visitor.url}/console#/rules")
        page.get_by_label("Your price").fill("1.5")
        expect(page.locator("small").filter(has_text="an hour costs")).to_be_visible()
        page.get_by_role("button", name="Save").click()
        expect(page.locator(".toast")).to_contain_text("Saved")
        for cap, kept in (("80", 80), ("", 100)):
            page.get_by_label("GPU in use at most").fill(cap)
            with page.expect_response("**/providers/preferences"):
                page.get_by_role("button", name="Save").click()
            assert owner.account()["gpu_usage_cap_pct"] == kept
        page.get_by_label("Your price").fill("0.7")
        page.get_by_role("button", name="Save").click()
        page.get_by_role("button", name="Undo").last.click()
        expect(page.get_by_label("Your price")).to_have_value("1.5")
        page.get_by_label("When it may be used").select_option("scheduled")
        expect(page.get_by_text("In UTC, where it is")).to_be_visible()
        page.get_by_label("When it may be used").select_option("always-on")
        page.get_by_label("Your price").fill("9")
        page.get_by_role("button", name="Save").click()
        # In the words of the API.
        expect(page.locator(".toast.bad")).to_contain_text("ask")
        (refused,) = visitor.wrong
        assert "400" in refused
        visitor.wrong.clear()
    assert owner.account()["ask"] == 1.5
