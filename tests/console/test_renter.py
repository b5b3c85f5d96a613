"""A renter's pages in a real browser, on a market with work in it: what is seen is what there is, as it moves."""

import re

import pytest
from playwright.sync_api import expect

from dc1.domain.access.notifications import ChannelKind
from dc1.domain.access.roles import Role
from dc1.storage.accounts import notifications
from dc1.storage.accounts.notifications import NewChannel
from dc1.storage.engine.database import Connection
from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter, answered
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.waiting import eventually
from tests.console.visitor import Visitors

PAGES = ("", "playground", "order", "jobs", "wallet", "keys", "webhooks", "notifications", "usage")
MANNERS = [("en", "light"), ("ar", "dark")]


@pytest.fixture(scope="module")
def daemon(town: LocalMarket) -> PollDaemon:
    return town.add_provider()


@pytest.fixture(scope="module")
def renter(town: LocalMarket, daemon: PollDaemon) -> Renter:
    """One with a key and a channel, a job that is done, one that runs and some that wait."""
    renter = town.add_renter()
    limits = {"label": "notebook", "scopes": ["inference"], "monthly_budget_halala": 123456}
    answered(renter.post("/renters/me/keys", limits), 201)
    # Of what does not happen here: nothing is sent out of this machine.
    slack = {"kind": "slack", "target": "https://hooks.slack.com/services/T/B/s", "events": ["budget.threshold"]}
    answered(renter.post("/notifications", slack), 201)
    renter.submit()
    done = town.next_job(daemon)
    daemon.logs(done["job_id"], ["epoch 1", "<img src=x onerror=alert(1)>"])
    daemon.result(done["job_id"], "البحر هادئ")
    for _ in range(3):
        renter.submit()
    town.next_job(daemon)
    return renter


@pytest.mark.parametrize(("language", "light"), MANNERS)
def test_every_page_is_whole(renter: Renter, visitors: Visitors, language: str, light: str) -> None:
    with visitors.one(language, light) as visitor:
        page = visitor.sign_in(renter.key)
        for name in PAGES:
            page.goto(f"{visitor.url}/console#/{name}")
            visitor.settled()
            visitor.finds_whole(f"renter-{name or 'home'}")


def test_a_job_is_followed_to_its_end(
    town: LocalMarket, renter: Renter, daemon: PollDaemon, visitors: Visitors
) -> None:
    """What the daemon says is on the page at once, and what a stranger wrote is text there."""
    (running,) = [job for job in renter.get("/jobs").json()["jobs"] if job["status"] == "running"]
    with visitors.one() as visitor:
        page = visitor.sign_in(renter.key)
        page.goto(f"{visitor.url}/console#/jobs/{running['job_id']}")
        expect(page.locator("main .badge").first).to_have_text("Running")
        daemon.logs(running["job_id"], ["half way", "<script>alert(1)</script>"])
        expect(page.locator("pre.log")).to_contain_text("<script>alert(1)</script>")
        daemon.result(running["job_id"], "<b>done</b>")
        expect(page.locator("main .badge").first).to_have_text("Completed")
        expect(page.locator("main pre").filter(has_text="<b>done</b>")).to_be_visible()
        expect(page.get_by_role("heading", name="Bill")).to_be_visible()
        visitor.looks("renter-job-en-light")
        assert visitor.audit() == []


def test_a_job_says_what_it_waits_for_and_the_wallet_follows(
    town: LocalMarket, daemon: PollDaemon, visitors: Visitors
) -> None:
    renter = town.add_renter()
    job = renter.submit(gpu_requirements={"gpu_type": "H200"}, duration_minutes=1)
    with visitors.one() as visitor:
        page = visitor.sign_in(renter.key)
        page.goto(f"{visitor.url}/console#/jobs/{job['job_id']}")
        expect(page.get_by_text("Waiting for: no machine has this GPU")).to_be_visible()
        page.goto(f"{visitor.url}/console#/wallet")
        held = page.locator(".figures div").filter(has_text="Held for open jobs").locator("dd")
        expect(held).to_have_text("SAR 1.13")
        expect(page.locator(".table tbody tr")).to_have_count(2)
        renter.cancel(job["job_id"])
        expect(held).to_have_text("SAR 0.00")
        expect(page.locator(".table tbody tr")).to_have_count(3)


def test_a_job_is_ordered_at_the_price_that_was_shown(town: LocalMarket, visitors: Visitors) -> None:
    renter = town.add_renter()
    with visitors.one() as visitor:
        page = visitor.sign_in(renter.key)
        page.goto(f"{visitor.url}/console#/order")
        expect(page.get_by_label("Container image")).not_to_have_value("")
        page.get_by_label("Minutes").fill("7")
        page.get_by_label("Price class").select_option("economy")
        shown = page.locator(".figures div").filter(has_text="Price at most").locator("dd")
        expect(shown).to_contain_text("SAR")
        quoted = round(float(re.sub(r"[^0-9.]", "", shown.inner_text())) * 100)
        # Twice, as impatient people do.
        page.get_by_role("button", name="Order the job").dblclick()
        page.get_by_role("heading", name="What happened").wait_for()
        (job,) = renter.get("/jobs").json()["jobs"]
        assert job["cost_halala"] == quoted == renter.wallet()["held_halala"]
        page.get_by_role("button", name="Cancel the job").click()
        page.get_by_role("dialog").get_by_role("button", name="Cancel the job").click()
        expect(page.locator("main .badge").first).to_have_text("Cancelled")
    assert renter.wallet()["held_halala"] == 0


def test_a_key_is_shown_once_and_revoked(town: LocalMarket, visitors: Visitors) -> None:
    renter = town.add_renter()
    with visitors.one() as visitor:
        page = visitor.sign_in(renter.key)
        page.goto(f"{visitor.url}/console#/keys")
        page.get_by_role("button", name="Make a key").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Name").fill("notebook")
        dialog.get_by_label("Budget a month").fill("12.5")
        dialog.get_by_role("button", name="Make a key").click()
        key = page.locator(".notice pre").inner_text()
        assert key.startswith("dc1-sk-")
        (stored,) = renter.get("/renters/me/keys").json()["keys"]
        assert (stored["label"], stored["scopes"], stored["monthly_budget_halala"]) == ("notebook", ["inference"], 1250)
        page.get_by_role("button", name="Revoke").click()
        page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        expect(page.locator("td .badge")).to_have_text("Revoked")
    assert town.rest.get("/jobs", headers={"authorization": f"Bearer {key}"}).status_code == 401


def test_a_key_that_stops_ends_the_session_and_none_is_left_behind(town: LocalMarket, visitors: Visitors) -> None:
    renter = town.add_renter()
    with visitors.one() as visitor:
        page = visitor.sign_in(renter.key)
        assert renter.key not in page.url
        assert page.context.cookies() == []
        assert renter.key not in str(page.evaluate("JSON.stringify(localStorage)"))
        page.get_by_role("button", name="Sign out").click()
        page.locator("input[name=key]").wait_for()
        assert page.evaluate("sessionStorage.length") == 0


@pytest.mark.parametrize(("language", "light"), MANNERS)
def test_an_address_is_confirmed_by_the_code_that_was_mailed(
    town: LocalMarket, visitors: Visitors, language: str, light: str
) -> None:
    """The town has no mail server, so what it would have mailed is put into its database."""
    renter, code = town.add_renter(), "01234567"
    new = NewChannel(ChannelKind.EMAIL, "sealed", "me@example.sa", ["job.failed"], "en", code)

    def add(conn: Connection) -> None:
        notifications.add(conn, Role.RENTER, renter.id, new, town.clock.now_ms())

    town.edge.loop.run(town.server.database.write(add))
    with visitors.one(language, light) as visitor:
        page = visitor.sign_in(renter.key)
        page.goto(f"{visitor.url}/console#/notifications")
        visitor.settled()
        row = page.locator(".table tbody")
        row.get_by_role("button").first.click()
        dialog = page.get_by_role("dialog")
        visitor.finds_whole("renter-notification-code")
        dialog.locator("input[name=code]").fill(f" {code} ")
        dialog.locator("button[type=submit]").click()
        eventually(lambda: renter.get("/notifications").json()["channels"][0]["confirmed"], "the confirmation")
        expect(row.locator(".badge.warn")).to_have_count(0)
