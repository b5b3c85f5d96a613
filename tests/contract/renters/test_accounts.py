"""Settings, keys, a copy of everything, and the end of an account (contract 3.2; 7, vector 60)."""

from typing import Any

import pytest

from dc1.storage.accounts import renters
from dc1.testing.market import LocalMarket
from dc1.testing.people import J3, Admin, Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.rest import Json
from dc1.testing.waiting import eventually
from tests.contract.expect import answered, fields, refused, show
from tests.contract.fitting import fits, flag, integer, nothing, number, or_null, text, time
from tests.contract.shapes.jobs import JOB_DETAIL, SHOWN_JOB
from tests.contract.shapes.renters import RENTER_ACCOUNT

BUSYBOX = "docker.io/library/busybox:1.36"

NEW_KEY: Json = {
    "id": text,
    "key": text,
    "label": or_null(text),
    "scopes": [text],
    "expires_at": or_null(time),
    "created_at": time,
}
KEY: Json = {
    "id": text,
    "key_hint": text,
    "label": or_null(text),
    "scopes": [text],
    "expires_at": or_null(time),
    "created_at": time,
    "last_used_at": or_null(time),
    "revoked_at": or_null(time),
}
ENTRY: Json = {
    "id": integer,
    "amount_halala": integer,
    "amount_sar": number,
    "direction": text,
    "kind": text,
    "job_id": or_null(text),
    "note": or_null(text),
    "balance_after_halala": integer,
    "created_at": time,
}
EXPORT: Json = {
    "exported_at": time,
    "account": RENTER_ACCOUNT["renter"],
    "jobs": [JOB_DETAIL],
    "transactions": [ENTRY],
    "usage": RENTER_ACCOUNT["v1_usage_summary"],
}


class Keys:
    """The scoped keys of a renter."""

    def __init__(self, market: LocalMarket, renter: Renter) -> None:
        self._rest = market.rest
        self._renter = renter

    def make(self, **body: Any) -> Json:
        made = answered(self._renter.post("/renters/me/keys", body), 201)
        assert fits(made, NEW_KEY)
        return made

    def holder(self, **body: Any) -> Renter:
        """The renter, with a new scoped key."""
        return Renter(self._rest, self._renter.id, self.make(**body)["key"])

    def listed(self) -> list[Json]:
        answer = answered(self._renter.get("/renters/me/keys"))
        assert fits(answer, {"keys": [KEY]})
        rows: list[Json] = answer["keys"]
        return rows

    def delete(self, key_id: str, *, key: str | None = None) -> Any:
        return self._rest.rest("DELETE", f"/renters/me/keys/{key_id}", key=key or self._renter.key)


@pytest.fixture
def scoped(market: LocalMarket, renter: Renter) -> Keys:
    return Keys(market, renter)


def close_account(market: LocalMarket, renter: Renter, confirm: Any = "DELETE_MY_ACCOUNT") -> Any:
    return market.rest.rest("DELETE", "/renters/me", key=renter.key, json={"confirm": confirm})


def test_a_scoped_key_lives_until_it_is_deleted(market: LocalMarket, renter: Renter, scoped: Keys) -> None:
    """Contract 7, vector 60."""
    job = renter.submit()
    made = scoped.make(scopes=["jobs.read"])
    assert made["key"].startswith("dc1-sk-")
    reader = Renter(market.rest, renter.id, made["key"])
    answered(reader.get(f"/jobs/{job['id']}"))
    refused(reader.try_submit(), 403, "API key lacks scope: inference", code="SCOPE_MISSING")
    answer = answered(scoped.delete(made["id"]))
    assert fits(answer, {"success": flag, "revoked_at": time})
    refused(reader.get(f"/jobs/{job['id']}"), 401, "Invalid API key")
    refused(reader.try_submit(), 403, "Invalid or inactive renter API key")


def test_what_scopes_open(market: LocalMarket, renter: Renter, provider: PollDaemon, scoped: Keys) -> None:
    calls: dict[str, Any] = {
        "submit": lambda who: who.try_submit(),
        "read": lambda who: who.get("/jobs/1"),
        "balance": lambda who: who.get("/renters/balance"),
        "transactions": lambda who: who.get("/renters/me/transactions"),
        "spending": lambda who: who.get("/renters/me/spending"),
        "top-up": lambda who: who.post("/renters/topup", {"amount_halala": 1}),
        "settings": lambda who: market.rest.patch("/renters/settings", {}, key=who.key),
        "deliveries": lambda who: who.get("/renters/me/webhook-deliveries"),
        "account": lambda who: who.get("/renters/me"),
    }
    opened = {
        (): {"submit", "read", "account"},
        ("inference",): {"submit", "read", "account"},
        ("jobs.read",): {"read", "account"},
        ("billing",): {"balance", "transactions", "top-up", "account"},
        ("balance.read",): {"balance", "transactions", "spending", "account"},
        ("admin",): set(calls),
    }
    renter.submit()
    for scopes, expected in opened.items():
        holder = scoped.holder(scopes=list(scopes))
        for name, call in calls.items():
            response = call(holder)
            if name in expected:
                assert response.status_code < 300, (scopes, name, response.text)
            else:
                refused(response, 403, code="SCOPE_MISSING")


def test_only_the_master_key_rules_the_account(market: LocalMarket, renter: Renter, scoped: Keys) -> None:
    holder = scoped.holder(scopes=["admin"])
    for response in (
        holder.post("/renters/me/rotate-key"),
        holder.post("/renters/me/keys", {}),
        holder.get("/renters/me/keys"),
        scoped.delete("whatever", key=holder.key),
        holder.get("/renters/me/export"),
        close_account(market, holder),
    ):
        refused(response, 403, code="SCOPE_MISSING")
    assert len(scoped.listed()) == 1


def test_keys_are_listed_newest_first_without_their_secrets(market: LocalMarket, scoped: Keys) -> None:
    first = scoped.make()
    assert show(first, "label", "scopes", "expires_at", "created_at") == {
        "label": None,
        "scopes": ["inference"],
        "expires_at": None,
        "created_at": market.now(),
    }
    market.advance(1)
    second = scoped.make(scopes=["billing", "jobs.read", "billing"], label="CI <1>", expires_at=market.now(60))
    assert show(second, "label", "scopes", "expires_at") == {
        "label": "CI <1>",
        "scopes": ["jobs.read", "billing"],
        "expires_at": market.now(60),
    }
    newest, oldest = scoped.listed()
    assert (newest["id"], oldest["id"]) == (second["id"], first["id"])
    assert show(newest, "last_used_at", "revoked_at", "label") == {
        "last_used_at": None,
        "revoked_at": None,
        "label": "CI <1>",
    }
    assert newest["key_hint"].startswith("dc1-sk-")
    assert second["key"] not in str(newest)


def test_use_is_noted_and_survives_a_restart(market: LocalMarket, renter: Renter, scoped: Keys) -> None:
    holder = scoped.holder(scopes=["balance.read"])
    market.advance(5)
    holder.balance()
    used_at = market.now()
    assert scoped.listed()[0]["last_used_at"] == used_at
    market.advance(5)
    holder.balance()
    later = market.now()
    market.restart()
    assert scoped.listed()[0]["last_used_at"] == later


def test_a_key_expires(market: LocalMarket, scoped: Keys) -> None:
    holder = scoped.holder(scopes=["balance.read"], expires_at=market.now(60))
    holder.balance()
    market.advance(59.9)
    holder.balance()
    market.advance(0.1)
    refused(holder.get("/renters/balance"), 401, "Invalid API key")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (
            {"scopes": ["inference", "everything"]},
            "Invalid scope. Allowed: inference, jobs.read, billing, balance.read, admin",
        ),
        ({"scopes": [{"name": "inference"}]}, None),
        ({"label": "x" * 81}, "Validation failed"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "Validation failed"),
        ({"expires_at": "soon"}, "Validation failed"),
        ({"expires_at": "9999-12-31T23:59:59-14:00"}, "Validation failed"),
    ],
)
def test_bad_keys_are_not_made(renter: Renter, scoped: Keys, body: Json, error: str | None) -> None:
    answer = refused(renter.post("/renters/me/keys", body), 400, error)
    if error == "Validation failed":
        assert fields(answer) == list(body)
    assert scoped.listed() == []


def test_twenty_keys_may_live(market: LocalMarket, renter: Renter, scoped: Keys) -> None:
    made = [scoped.make(expires_at=market.now(60) if number == 0 else None) for number in range(20)]
    refused(renter.post("/renters/me/keys", {}), 409, "Key limit reached")
    answered(scoped.delete(made[1]["id"]))
    scoped.make()
    refused(renter.post("/renters/me/keys", {}), 409, "Key limit reached")
    market.advance(60)
    scoped.make()
    assert len(scoped.listed()) == 22


def test_the_twentieth_key_is_made_once(market: LocalMarket, renter: Renter, scoped: Keys) -> None:
    for _ in range(19):
        scoped.make()
    statuses = [each.status_code for each in market.at_once([lambda: renter.post("/renters/me/keys", {})] * 4)]
    assert sorted(statuses) == [201, 409, 409, 409]


def test_a_revoked_key_keeps_its_time_and_others_cannot_revoke_it(
    market: LocalMarket, renter: Renter, scoped: Keys
) -> None:
    made = scoped.make()
    stranger = market.add_renter()
    refused(scoped.delete(made["id"], key=stranger.key), 404, "Key not found")
    refused(scoped.delete("nonesuch"), 404, "Key not found")
    master_id = renter.key.removeprefix("dc1-renter-")[:8]
    refused(scoped.delete(master_id), 404, "Key not found")
    assert scoped.listed()[0]["revoked_at"] is None
    first = answered(scoped.delete(made["id"]))["revoked_at"]
    market.advance(10)
    assert answered(scoped.delete(made["id"]))["revoked_at"] == first
    assert scoped.listed()[0]["revoked_at"] == first
    renter.balance()


def test_the_master_key_is_replaced_at_once_and_scoped_keys_with_it(
    market: LocalMarket, renter: Renter, scoped: Keys
) -> None:
    """Contract 3.2: whoever had the master key may have made scoped ones, and the owner would not know of them."""
    holder = scoped.holder(scopes=["admin"])
    renter.balance()
    answer = answered(renter.post("/renters/me/rotate-key"))
    assert fits(answer, {"success": flag, "message": text, "api_key": text, "new_key": text, "renter_id": integer})
    assert answer["api_key"] == answer["new_key"] != renter.key
    refused(renter.get("/renters/balance"), 401, "Invalid API key")
    refused(holder.get("/renters/balance"), 401, "Invalid API key")
    assert Renter(market.rest, renter.id, answer["api_key"]).balance() == 1000


def test_scoped_keys_go_on_where_their_owner_says_so(
    market: LocalMarket, renter: Renter, scoped: Keys, admin: Admin
) -> None:
    holder = scoped.holder(scopes=["balance.read"])
    key = answered(renter.post("/renters/me/rotate-key", {"keep_scoped_keys": True}))["api_key"]
    assert Renter(market.rest, renter.id, key).balance() == holder.balance() == 1000
    reset = f"/admin/renters/{renter.id}/rotate-key"
    answered(admin.post(reset, {"keep_scoped_keys": True}))
    assert holder.balance() == 1000
    answered(admin.post(reset))
    refused(holder.get("/renters/balance"), 401, "Invalid API key")


@pytest.mark.settings(rate_limits_enabled=True)
def test_rotation_and_export_are_limited_by_day(market: LocalMarket, renter: Renter) -> None:
    for _ in range(3):
        renter = Renter(market.rest, renter.id, answered(renter.post("/renters/me/rotate-key"))["api_key"])
    refused(renter.post("/renters/me/rotate-key"), 429, "Rate limit exceeded")
    answered(renter.get("/renters/me/export"))
    refused(renter.get("/renters/me/export"), 429, "Rate limit exceeded")


def test_an_export_has_everything(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    renter.submit(params={"prompt": "نعم"})
    provider.next()
    provider.result(1)
    renter.submit(provider_id=provider.id)
    copy = answered(renter.get("/renters/me/export"))
    assert fits(copy, EXPORT)
    assert copy["account"] == answered(renter.get("/renters/me"))["renter"]
    assert copy["jobs"] == [renter.job(2), renter.job(1)]
    assert [entry["kind"] for entry in copy["transactions"]] == ["hold", "refund", "hold", "starter_credit"]
    assert copy["exported_at"] == market.now()
    assert answered(market.add_renter().get("/renters/me/export"))["jobs"] == []


def test_an_account_is_closed(
    market: LocalMarket, renter: Renter, provider: PollDaemon, admin: Admin, scoped: Keys
) -> None:
    holder = scoped.holder(scopes=["admin"])
    running = renter.submit()
    provider.next()
    market.advance(60)
    pending = renter.submit()
    for word in (None, "", "delete_my_account", "yes"):
        refused(close_account(market, renter, word), 400, "confirm must be DELETE_MY_ACCOUNT")
    answer = answered(close_account(market, renter))
    assert fits(answer, {"success": flag, "cancelled_jobs": integer, "deletion_scheduled_for": time, "message": text})
    assert show(answer, "cancelled_jobs", "deletion_scheduled_for") == {
        "cancelled_jobs": 2,
        "deletion_scheduled_for": market.now(30 * 86400),
    }
    for key in (renter, holder):
        refused(key.get("/renters/balance"), 401, "Invalid API key")
    refused(renter.try_submit(), 403, "Invalid or inactive renter API key")
    jobs = [answered(admin.get(f"/jobs/{job['id']}"))["job"] for job in (running, pending)]
    assert [(job["status"], job["actual_cost_halala"]) for job in jobs] == [("cancelled", 15), ("cancelled", 0)]
    assert provider.ask()["job"] is None
    assert show(admin.stats(), "total_renters", "active_renters", "total_renter_balance_halala") == {
        "total_renters": 1,
        "active_renters": 0,
        "total_renter_balance_halala": 985,
    }


def test_personal_data_is_erased_after_thirty_days(market: LocalMarket, admin: Admin) -> None:
    renter = market.add_renter(name="Noura Salem", email="noura@example.sa", organization="Tuwaiq", phone="+966")
    stranger, provider = market.add_renter(), market.add_provider()
    told = {"image_type": "llm", "image": BUSYBOX, "job_cmd": "Noura's", "gpu_count": 1}
    asked: Json = {"params": {"prompt": "I am Noura"}, "env_vars": {"A": "Noura"}, "task_spec": {"by": "Noura"}}
    for who in (renter, stranger):
        job = who.submit(**asked, container_spec=told, gpu_requirements={"min_vram_gb": 8, "note": "Noura"})
        market.next_job(provider)
        provider.logs(job["id"], ["Hello Noura"])
        provider.result(job["id"], "Dear Noura")
    Keys(market, renter).make(label="Noura's laptop")
    answered(close_account(market, renter))
    again = {"name": "Noura Salem", "email": "noura@example.sa"}
    refused(market.rest.post("/renters/register", again), 409, code="EMAIL_TAKEN")

    def kept() -> Json:
        row: Json = answered(admin.get(f"/admin/renters/{renter.id}"))["renter"]
        return row

    market.clock.advance(30 * 86400 - 1)
    database = market.server.database
    now_ms = market.clock.now_ms()
    assert market.edge.loop.run(database.read(lambda conn: renters.due_for_erasure(conn, now_ms))) == []
    assert kept()["email"] == "noura@example.sa"
    market.clock.advance(1)
    market.restart()
    eventually(lambda: "noura" not in kept()["email"], "the erasure")
    shown = kept()
    assert fits(
        show(shown, "organization", "phone", "use_case", "webhook_url"),
        dict.fromkeys(("organization", "phone", "use_case", "webhook_url"), nothing),
    )
    assert "Noura" not in str(answered(admin.get(f"/admin/renters/{renter.id}")))
    assert show(shown, "status", "balance_halala", "total_jobs") == {
        "status": "deleted",
        "balance_halala": 999,
        "total_jobs": 1,
    }
    # What the job came to is gone with its renter, and its bill stays.
    shown_by = {"": 200, "/output": 410, "/logs": 200, "/lifecycle": 200, "/invoice": 200}
    pages = [answered(admin.get(f"/jobs/1{part}"), status) for part, status in shown_by.items()]
    assert "Noura" not in str(pages)
    fits(pages[0], SHOWN_JOB)
    assert show(pages[0], "status", "container_image") == {"status": "completed", "container_image": BUSYBOX}
    assert show(pages[1], "result", "cost_halala") == {"result": None, "cost_halala": 45}
    assert answered(stranger.get("/jobs/2/output"))["output"] == "Dear Noura"
    sent = {name: asked[name] for name in ("params", "task_spec")}
    assert show(stranger.job(2), *sent) == sent
    assert answered(stranger.get("/jobs/2/logs"))["total_lines"] == 1
    answered(market.rest.post("/renters/register", again), 201)
    assert answered(stranger.get("/renters/me"))["renter"]["name"] == "Renter 2"


def test_closing_while_submitting_leaves_nothing_open(market: LocalMarket, renter: Renter, admin: Admin) -> None:
    calls = [lambda: renter.try_submit(J3)] * 4 + [lambda: close_account(market, renter)] + [renter.try_submit] * 4
    accepted = [each for each in market.at_once(calls) if each.status_code == 201]
    assert admin.stats()["active_jobs"] == 0
    assert admin.stats()["total_jobs"] == len(accepted)
    assert admin.finance()["holds_halala"] == 0
