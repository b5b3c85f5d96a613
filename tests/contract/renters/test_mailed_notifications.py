"""Notifications are mailed by the operator's mail server, to nobody's address but the account's (contract 6.7)."""

import os
from collections.abc import Iterator
from pathlib import Path

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


def test_an_account_is_mailed_at_its_own_address(market: LocalMarket, renter: Renter, post: MailServer) -> None:
    address = own_address(renter)
    sent = {"kind": "email", "target": address, "language": "ar", "events": ["job.cancelled"]}
    channel = answered(renter.post("/notifications", sent), 201)["channel"]
    assert channel["hint"] == address
    # What a mail server says in refusal is not shown, as it may quote the password or name the market's machines.
    post.refusals.append("451 mail.inside.example: geheim")
    job = renter.submit()
    answered(renter.cancel(job["id"]))

    def error() -> str | None:
        (row,) = answered(renter.get("/notifications"))["channels"]
        return None if row["last_error"] is None else str(row["last_error"])

    eventually(lambda: error() == "The mail server answered 451")
    market.advance(5)
    ((recipients, mail),) = post.wait(1)
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
    channel = answered(renter.post("/notifications", {"kind": "email", "target": own_address(renter)}), 201)["channel"]
    answered(renter.post(f"/notifications/{channel['id']}/test", {}))

    def error() -> str:
        (row,) = answered(renter.get("/notifications"))["channels"]
        return str(row["last_error"])

    eventually(lambda: error().startswith("The mail was not taken"))
    assert post.mails == []
