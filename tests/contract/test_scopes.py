"""Vector 60 and 6.4 as far as the routes exist: scoped keys; and what a suspended account may still do."""

import pytest

from dc1.domain import keys
from dc1.domain.keys import KeyRole
from dc1.storage import catalog, providers, renters
from dc1.storage import keys as key_rows
from dc1.storage.database import Connection
from tests.contract.expect import answered, refused, show
from tests.stack.people import J3, Renter
from tests.stack.poll_daemon import PollDaemon
from tests.stack.stack import Stack

IMAGE = "docker.io/library/busybox:1.36"


def scoped_key(stack: Stack, renter: Renter, *scopes: str, lifetime_seconds: int | None = None) -> Renter:
    """The renter, calling with a new scoped key."""
    key = keys.generate(KeyRole.SCOPED)
    now_ms = stack.clock.now_ms()
    expires_at_ms = None if lifetime_seconds is None else now_ms + lifetime_seconds * 1000

    def work(conn: Connection) -> None:
        key_rows.add(conn, KeyRole.SCOPED, renter.id, key, now_ms, scopes=list(scopes), expires_at_ms=expires_at_ms)

    stack.edit(work)
    return Renter(stack.rest, renter.id, key.key)


@pytest.mark.usefixtures("provider")
def test_60_a_key_that_reads_jobs_submits_none(stack: Stack, renter: Renter) -> None:
    renter.submit()
    reader = scoped_key(stack, renter, "jobs.read")
    assert reader.key.startswith("dc1-sk-")
    assert reader.job(1)["id"] == 1
    refused(reader.try_submit(), 403, "API key lacks scope: inference", code="SCOPE_MISSING")
    refused(reader.get("/renters/balance"), 403, code="SCOPE_MISSING")
    refused(reader.cancel(1), 403, "API key lacks scope: inference", code="SCOPE_MISSING")

    stack.edit(lambda conn: key_rows.revoke_all(conn, KeyRole.SCOPED, renter.id, stack.clock.now_ms()))
    refused(reader.get("/jobs/1"), 401, "Invalid API key")
    refused(reader.try_submit(), 403, "Invalid or inactive renter API key")


@pytest.mark.parametrize(
    ("scope", "submits", "reads", "sees_balance", "tops_up"),
    [
        ("inference", True, True, False, False),
        ("jobs.read", False, True, False, False),
        ("billing", False, False, True, True),
        ("balance.read", False, False, True, False),
        ("admin", True, True, True, True),
    ],
)
@pytest.mark.usefixtures("provider")
def test_what_each_scope_opens(
    stack: Stack, renter: Renter, scope: str, submits: bool, reads: bool, sees_balance: bool, tops_up: bool
) -> None:
    renter.submit()
    holder = scoped_key(stack, renter, scope)
    answers = {
        "submits": holder.try_submit().status_code == 201,
        "reads": holder.get("/jobs/1").status_code == 200,
        "sees_balance": holder.get("/renters/balance").status_code == 200,
        "tops_up": holder.post("/renters/topup", {"amount_halala": 1}).status_code == 200,
    }
    assert answers == {"submits": submits, "reads": reads, "sees_balance": sees_balance, "tops_up": tops_up}
    answered(holder.get("/renters/me"))


def test_a_key_expires(stack: Stack, renter: Renter) -> None:
    holder = scoped_key(stack, renter, "balance.read", lifetime_seconds=60)
    answered(holder.get("/renters/balance"))
    stack.advance(60)
    refused(holder.get("/renters/balance"), 401, "Invalid API key")


@pytest.mark.usefixtures("provider")
def test_a_suspended_renter_is_told_so(stack: Stack, renter: Renter) -> None:
    renter.submit()
    stack.edit(lambda conn: renters.set_status(conn, renter.id, "suspended"))
    refused(renter.get("/renters/balance"), 403, "Account suspended", code="ACCOUNT_SUSPENDED")
    refused(renter.try_submit(), 403, "Invalid or inactive renter API key")
    stats = stack.admin.stats()
    assert show(stats, "total_renters", "active_renters") == {"total_renters": 1, "active_renters": 0}


def test_a_suspended_provider_reports_and_reads_and_gets_no_work(
    stack: Stack, renter: Renter, provider: PollDaemon
) -> None:
    stack.edit(lambda conn: providers.set_suspended(conn, provider.id, True))
    provider.heartbeat()
    assert provider.account()["status"] == "suspended"
    refused(renter.try_submit(provider_id=1), 400, "Provider is not online", provider_status="suspended")
    assert renter.submit()["status"] == "queued"
    assert provider.ask()["admission"]["reason_code"] == "PROVIDER_SUSPENDED"


def test_the_short_form_orders_a_container_job(stack: Stack, renter: Renter, provider: PollDaemon) -> None:
    stack.edit(lambda conn: catalog.approve_image(conn, IMAGE, stack.clock.now_ms()))
    provider.heartbeat()
    answer = renter.post("/jobs/submit", {"container_image": IMAGE, "command": "echo 'hi' <&>"})
    job = answered(answer, 201)["job"]
    assert show(job, "job_type", "max_duration_seconds", "duration_minutes", "cost_halala") == {
        "job_type": "custom_container",
        "max_duration_seconds": 1800,
        "duration_minutes": 30,
        "cost_halala": 300,
    }
    shown = answered(renter.get(f"/jobs/{job['job_id']}"))
    assert shown["container_image"] == IMAGE
    spec = provider.next()["container_spec"]
    assert show(spec, "image", "job_cmd") == {"image": IMAGE, "job_cmd": "echo 'hi' <&>"}
    refused(renter.try_submit({**J3, "container_spec": {"image_type": "custom", "image": IMAGE + "x"}}), 400)
