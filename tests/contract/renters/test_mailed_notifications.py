"""Notifications are mailed by the operator's mail server, to nobody's address but the account's (contract 6.7)."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.rest import Json
from dc1.testing.server import ADMIN_TOKEN
from dc1.testing.waiting import eventually
from tests.contract.expect import answered, refused
from tests.support.mail_server import MailServer
from tests.support.receiver import CERTIFICATE

SENDER = "market@example.sa"


@pytest.fixture
def post(market: LocalMarket, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[MailServer]:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    post = MailServer(starttls=getattr(request, "param", False))
    market.restart(smtp_url=post.url, smtp_from=SENDER)
    yield post
    post.close()


def own_address(renter: Renter) -> str:
    return str(answered(renter.get("/renters/me"))["renter"]["email"])


def add_own(renter: Renter, **more: Any) -> Json:
    """Adds the renter's own address, which is still to be confirmed."""
    sent = {"kind": "email", "target": own_address(renter), **more}
    channel: Json = answered(renter.post("/notifications", sent), 201)["channel"]
    return channel


def code_in(post: MailServer, count: int = 1) -> str:
    """The digits of the last of `count` mails."""
    _, mail = post.wait(count)[-1]
    (digits,) = re.findall(r"\d+", mail.get_content())
    return str(digits)


def confirm(renter: Renter, channel: Json, code: str) -> httpx.Response:
    return renter.post(f"/notifications/{channel['id']}/confirm", {"code": code})


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % 10**8:08}"


def test_nothing_but_a_code_is_mailed_before_it_is_confirmed(
    market: LocalMarket, renter: Renter, post: MailServer
) -> None:
    channel = add_own(renter)
    assert channel["confirmed"] is False
    answered(renter.cancel(renter.submit()["id"]))
    refused(renter.post(f"/notifications/{channel['id']}/test", {}), 409, "Channel is not confirmed")
    code = code_in(post)
    refused(confirm(market.add_renter(), channel, code), 404, "Channel not found")
    refused(confirm(renter, channel, other_than(code)), 400, "This is not the code that was mailed")
    answered(confirm(renter, channel, code))
    # What came of a call whose answer was lost.
    answered(confirm(renter, channel, code))
    (row,) = answered(renter.get("/notifications"))["channels"]
    assert row["confirmed"] is True
    answered(renter.post(f"/notifications/{channel['id']}/test", {}))
    # Each channel is told one thing after another: a job that was told of would have come before.
    (_, mail) = post.wait(2)[-1]
    assert (len(post.mails), mail["subject"]) == (2, "This is a test: notifications of the market arrive here.")


def test_a_code_is_guessed_five_times_and_lasts_a_day(market: LocalMarket, renter: Renter, post: MailServer) -> None:
    over = "The code is no longer valid: remove the channel and add it again"
    guessed = add_own(renter)
    code = code_in(post)
    for _ in range(5):
        refused(confirm(renter, guessed, other_than(code)), 400)
    refused(confirm(renter, guessed, code), 409, over)
    late = add_own(renter)
    code = code_in(post, 2)
    market.advance(24 * 3600)
    refused(confirm(renter, late, code), 409, over)


def test_an_account_is_mailed_at_its_own_address(market: LocalMarket, renter: Renter, post: MailServer) -> None:
    address = own_address(renter)
    channel = add_own(renter, language="ar", events=["job.cancelled"])
    assert channel["hint"] == address
    answered(confirm(renter, channel, code_in(post)))
    eventually(lambda: answered(renter.get("/notifications"))["channels"][0]["last_sent_at"] is not None)
    # What a mail server says in refusal is not shown, as it may quote the password or name the market's machines.
    post.refusals.append("451 mail.inside.example: geheim")
    job = renter.submit()
    answered(renter.cancel(job["id"]))

    def error() -> str | None:
        (row,) = answered(renter.get("/notifications"))["channels"]
        return None if row["last_error"] is None else str(row["last_error"])

    eventually(lambda: error() == "The mail server answered 451")
    market.advance(5)
    recipients, mail = post.wait(2)[-1]
    eventually(lambda: error() is None)
    said = f"أُلغيت المهمة {job['job_id']}."
    assert (recipients, mail["to"], mail["from"], mail["subject"]) == ([address], address, SENDER, said)
    assert mail.get_content().strip() == said
    assert mail["auto-submitted"] == "auto-generated"


def test_nobody_else_is_mailed(market: LocalMarket, renter: Renter, post: MailServer) -> None:
    own, owner = own_address(renter), market.add_provider()
    other = "stranger@example.sa"
    for target in (other, f"{own}, {other}", f"{own}\r\nBcc: {other}", f"<{own}>", f"{own}?", "@example.sa"):
        asked = {"kind": "email", "target": target}
        refused(renter.post("/notifications", asked), 400)
        refused(owner.post("/notifications", asked), 400)
    refused(owner.post("/notifications", {"kind": "email", "target": own}), 400)
    assert answered(renter.get("/notifications"))["channels"] == []


@pytest.mark.parametrize("post", [False, True], ids=["tls", "starttls"], indirect=True)
def test_operators_are_mailed_anywhere(market: LocalMarket, post: MailServer) -> None:
    added: Json = answered(
        market.rest.post("/notifications", {"kind": "email", "target": "ops@example.net"}, key=ADMIN_TOKEN), 201
    )
    answered(market.rest.post(f"/notifications/{added['channel']['id']}/test", {}, key=ADMIN_TOKEN))
    ((recipients, _),) = post.wait(1)
    assert recipients == ["ops@example.net"]


def test_a_market_without_a_mail_server_says_so(renter: Renter) -> None:
    answer = renter.post("/notifications", {"kind": "email", "target": own_address(renter)})
    assert "this market sends no e-mail" in str(refused(answer, 400))


def test_a_mail_server_that_nobody_vouches_for_learns_nothing(
    market: LocalMarket, renter: Renter, post: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", os.fspath(Path(CERTIFICATE).with_name("nobody.pem")))
    add_own(renter)

    def error() -> str:
        (row,) = answered(renter.get("/notifications"))["channels"]
        return str(row["last_error"])

    eventually(lambda: error().startswith("The mail was not taken"))
    assert post.mails == []
