"""What an account is told elsewhere: its webhooks, what was sent to them, and its channels, each with a way back."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from dc1.testing.edge import Edge
from dc1.testing.market import LocalMarket
from tests.console.visitor import Visitors
from tests.support.receiver import CERTIFICATE, Receiver

_NOTHING_FADES = """const later = window.setTimeout;
window.setTimeout = (act, ms, ...rest) => (ms >= 8000 ? 0 : later(act, ms, ...rest));"""


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """A host that the sender trusts; it is on a private address."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        receiver = Receiver()
        yield receiver
        receiver.close()


@pytest.fixture(scope="module")
def town(edge: Edge, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalMarket]:
    market = LocalMarket(edge, tmp_path_factory.mktemp("town"), webhook_allow_private=True)
    yield market
    market.close()


def test_a_delivery_is_seen_as_it_goes_and_sent_again(
    town: LocalMarket, receiver: Receiver, visitors: Visitors
) -> None:
    """And the address that it goes to is taken back."""
    renter = town.add_renter()
    with visitors.one() as visitor:
        # What was done is said for as long as it takes to read: the deliveries between may take a busy machine longer.
        visitor.page.add_init_script(_NOTHING_FADES)
        page = visitor.sign_in(renter.key)
        page.goto(f"{visitor.url}/console#/webhooks")
        visitor.settled()
        expect(page.get_by_text("Nothing was sent yet.")).to_be_visible()
        page.locator("input[name=url]").fill(receiver.url)
        page.get_by_role("button", name="Save").click()
        # Shown once, to who set the address.
        expect(page.get_by_role("group", name="Secret").locator("pre")).not_to_be_empty()

        renter.cancel(renter.submit()["job_id"])
        row = page.locator("tbody tr").filter(has_text="job.cancelled")
        expect(row.locator(".badge.good")).to_have_text("Delivered")
        first = receiver.wait(1)[0]
        row.get_by_role("button", name="Send again").click()
        expect(page.locator(".toast").filter(has_text="It is sent again.")).to_be_visible()
        assert receiver.wait(2)[1].headers["webhook-id"] == first.headers["webhook-id"]
        expect(row.locator(".badge.good")).to_have_text("Delivered")

        page.locator(".toast").filter(has_text="Saved.").get_by_role("button", name="Undo").click()
        expect(page.locator(".toast").filter(has_text="Taken back.")).to_be_visible()
        assert renter.get("/renters/me").json()["renter"]["webhook_url"] is None
        row.get_by_role("button", name="Send again").click()
        # In the words of the API.
        expect(page.locator(".toast.bad")).to_have_text("No webhook_url is set✕")
        assert len(receiver.received) == 2
        (refused,) = visitor.wrong
        assert "409" in refused
        visitor.wrong.clear()


def test_a_channel_is_added_and_taken_back(town: LocalMarket, visitors: Visitors) -> None:
    renter = town.add_renter()
    with visitors.one() as visitor:
        visitor.page.add_init_script(_NOTHING_FADES)
        page = visitor.sign_in(renter.key)
        page.goto(f"{visitor.url}/console#/notifications")
        visitor.settled()
        page.get_by_label("By").select_option("slack")
        page.get_by_label("Where").fill("https://hooks.slack.com/services/T0/B0/secret")
        page.get_by_label("A job completed").uncheck()
        page.get_by_role("button", name="Add").click()
        expect(page.locator("tbody tr")).to_have_count(1)
        (channel,) = renter.get("/notifications").json()["channels"]
        assert channel["kind"] == "slack"
        assert "job.completed" not in channel["events"]
        # The market tells the rest of the address to nobody, and so does the page.
        assert "secret" not in page.locator("main").inner_text()
        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_text("You are told nowhere yet.")).to_be_visible()
        assert renter.get("/notifications").json()["channels"] == []
