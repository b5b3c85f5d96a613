"""Owners with many machines: one account and wallet, a key and a decision for each machine."""

from typing import Any

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import PollDaemon
from dc1.testing.rest import Json
from tests.contract.expect import answered, refused, show

IBAN = "SA0380000000608010167519"
MACHINES = "/providers/me/machines"


def machines_of(owner: PollDaemon, **wanted: Any) -> list[Json]:
    found: list[Json] = answered(owner.get(MACHINES, params=wanted))["machines"]
    return found


def run(market: LocalMarket, renter: Renter, machine: PollDaemon) -> int:
    job_id: int = renter.submit(provider_id=machine.id)["id"]
    assert market.next_job(machine)["id"] == job_id
    market.advance(95)
    machine.result(job_id)
    return job_id


def test_a_machine_is_added_once_under_a_key(market: LocalMarket, provider: PollDaemon) -> None:
    """Contract 6.6: of the two answers only the first has the key, which is stored nowhere."""
    body, once = {"name": "Rack 2", "gpu_model": "T4"}, {"idempotency-key": "k1"}
    first = provider.post("/providers/me/machines", body, headers=once)
    again = provider.post("/providers/me/machines", body, headers=once)
    added = answered(first, 201)
    assert added["api_key"].startswith("dc1-provider-")
    assert answered(again, 201) == {**added, "api_key": ""}
    assert again.headers["idempotent-replayed"] == "true"
    other = provider.post("/providers/me/machines", {**body, "name": "Rack 3"}, headers=once)
    refused(other, 409, code="IDEMPOTENCY_MISMATCH")
    assert answered(provider.get("/providers/me/machines"))["total"] == 2
    assert show(market.admin.stats(), "total_providers", "total_owners") == {"total_providers": 2, "total_owners": 1}
    market.restart()
    assert show(market.admin.stats(), "total_providers", "total_owners") == {"total_providers": 2, "total_owners": 1}
    # Nobody is locked out by an answer that was lost.
    path = f"/providers/me/machines/{added['provider_id']}/rotate-key"
    assert answered(provider.post(path))["api_key"] != added["api_key"]


def test_a_machine_is_renamed_by_its_owner_alone(market: LocalMarket, provider: PollDaemon) -> None:
    machine = market.add_machine(provider, name="Rack 2")
    path = f"{MACHINES}/{machine.id}"
    assert answered(provider.patch(path, {"name": "  Rack 3 "}))["machine"]["name"] == "Rack 3"
    assert [one["name"] for one in machines_of(provider)][1:] == ["Rack 3"]
    refused(market.add_provider().patch(path, {"name": "Mine"}), 404, "Machine not found")
    for name in ({}, {"name": ""}, {"name": "a"}, {"name": "a" * 101}, {"name": 7}):
        assert provider.patch(path, name).status_code == 400, name
    # Of the key's own right only its machine's daemon is spoken for.
    assert machine.patch(path, {"name": "Mine"}).status_code == 403
    market.restart()
    assert [one["name"] for one in machines_of(provider)][1:] == ["Rack 3"]
    assert answered(provider.patch(f"{MACHINES}/{provider.id}", {"name": "First"}))["success"] is True
    assert provider.account()["name"] == "First"


def test_a_machine_has_its_own_id_key_and_approval(market: LocalMarket, provider: PollDaemon) -> None:
    provider.post("/providers/preferences", {"ask": 0.9})
    added = answered(provider.post(MACHINES, {"name": "Rack 2", "gpu_model": "H100", "vram_gb": 80}), 201)
    machine = PollDaemon(market.rest, added["provider_id"], added["api_key"])
    assert added["api_key"].startswith("dc1-provider-")
    assert show(added["machine"], "id", "owner_id", "approval_status", "gpu_vram_mib", "ask") == {
        "id": machine.id,
        "owner_id": provider.id,
        "approval_status": "pending",
        "gpu_vram_mib": 80 * 1024,
        "ask": 0.9,
    }
    refused(machine.post("/providers/heartbeat", {}), 403, "Provider is not approved yet")
    assert provider.account()["approval_status"] == "approved"
    (waiting,) = answered(market.admin.get("/admin/providers", params={"status": "pending"}))["providers"]
    assert show(waiting, "id", "owner_id", "email") == {
        "id": machine.id,
        "owner_id": provider.id,
        "email": provider.account()["email"],
    }
    market.admin.approve(machine.id)
    machine.heartbeat()
    assert [item["id"] for item in machines_of(provider)] == [provider.id, machine.id]
    assert [item["id"] for item in machines_of(provider, status="pending")] == []
    assert [item["id"] for item in machines_of(provider, limit=1, offset=1)] == [machine.id]
    assert answered(provider.get(MACHINES, params={"status": "online"}))["total"] == 2
    refused(provider.get(MACHINES, params={"sort": "name"}), 400)
    listed = {item["id"]: item["owner_id"] for item in answered(market.rest.get("/providers/available"))["providers"]}
    assert listed == {provider.id: provider.id, machine.id: provider.id}
    found = answered(market.admin.get("/admin/providers", params={"owner_id": provider.id}))["providers"]
    assert len(found) == 2


def test_a_machines_key_serves_the_machine_only(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    machine = market.add_machine(provider)
    machine.heartbeat()
    for verb, path in (
        ("POST", MACHINES),
        ("GET", MACHINES),
        ("DELETE", f"{MACHINES}/{machine.id}"),
        ("POST", f"{MACHINES}/{machine.id}/rotate-key"),
        ("GET", "/providers/earnings"),
        ("GET", "/providers/me/withdrawals"),
        ("GET", "/providers/me/export"),
        ("POST", "/providers/me/rotate-key"),
        ("POST", "/providers/pause"),
        ("POST", "/providers/resume"),
        ("POST", "/providers/preferences"),
    ):
        answer = market.rest.rest(verb, path, key=machine.key, **({} if verb == "GET" else {"json": {}}))
        refused(answer, 403, code="SCOPE_MISSING")
    asked = machine.post("/providers/me/withdraw", {"amount_halala": 1000, "iban": IBAN})
    refused(asked, 403, code="SCOPE_MISSING")
    refused(machine.delete("/providers/me", {"confirm": "DELETE_MY_ACCOUNT"}), 403, code="SCOPE_MISSING")
    job_id = run(market, renter, machine)
    # The machine is what its key shows; its owner's key reads what it did.
    assert show(machine.account(), "id", "owner_id") == {"id": machine.id, "owner_id": provider.id}
    assert answered(provider.get(f"/jobs/{job_id}"))["job"]["provider_id"] == machine.id
    refused(market.add_provider().get(f"/jobs/{job_id}"), 403)
    refused(machine.get(f"/providers/{provider.id}/jobs"), 403)
    new = answered(provider.post(f"{MACHINES}/{machine.id}/rotate-key"))["api_key"]
    market.advance(601, silent=market.daemons)
    refused(machine.post("/providers/heartbeat", {}), 401)
    PollDaemon(market.rest, machine.id, new).heartbeat()


def test_what_machines_earn_is_in_one_wallet(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    renter.top_up(5_000)
    answered(market.admin.patch("/admin/pricing/rendering", {"rate_halala": 4_000}))
    second, third = market.add_machine(provider), market.add_machine(provider)
    for machine in (provider, second, third):
        machine.heartbeat()
        job = renter.submit({"job_type": "rendering", "duration_minutes": 0.2}, provider_id=machine.id)
        assert market.next_job(machine)["id"] == job["id"]
        market.clock.advance(11)
        machine.result(job["id"])
    earned = answered(provider.get("/providers/earnings"))
    made = [item["total_earnings_halala"] for item in machines_of(provider)]
    # Rounded by owner and not by machine: three times 550.x.
    assert (earned["total_earned_halala"], made) == (sum(made), [551, 550, 551])
    assert earned["total_jobs"] == 3
    assert answered(provider.get("/providers/job-history"))["total"] == 3
    assert provider.account()["today_earnings_halala"] == sum(made)
    days = answered(provider.get("/providers/me/earnings/history"))["days"]
    assert sum(day["earned_halala"] for day in days) == sum(made)
    answered(provider.post("/providers/me/withdraw", {"amount_halala": 1_200, "iban": IBAN}), 201)
    (asked,) = answered(market.admin.get("/admin/withdrawals"))["withdrawals"]
    # Its own machines are nobody that the owner shares anything with.
    assert (asked["provider_id"], [flag["provider_ids"] for flag in asked["flags"] if flag["provider_ids"]]) == (
        provider.id,
        [],
    )
    exported = answered(provider.get("/providers/me/export"))
    assert [len(exported[name]) for name in ("machines", "jobs", "withdrawals")] == [3, 3, 1]
    refused(provider.delete("/providers/me", {"confirm": "DELETE_MY_ACCOUNT"}), 409)


def test_settings_are_the_owners_for_all_machines_or_one(market: LocalMarket, provider: PollDaemon) -> None:
    machine = market.add_machine(provider)
    answered(provider.post("/providers/preferences", {"ask": 1.5}))
    assert [item["ask"] for item in machines_of(provider)] == [1.5, 1.5]
    answered(provider.post("/providers/preferences", {"ask": 0.5, "machine_id": machine.id}))
    answered(provider.post("/providers/pause", {"machine_id": machine.id}))
    assert [(item["ask"], item["is_paused"]) for item in machines_of(provider)] == [(1.5, False), (0.5, True)]
    answered(provider.post("/providers/pause"))
    answered(provider.post("/providers/resume"))
    assert [item["is_paused"] for item in machines_of(provider)] == [False, False]
    profile = {"gpu_model": "A100", "vram_mb": 81920, "machine_id": machine.id}
    assert answered(provider.patch("/providers/me/gpu-profile", profile))["profile"]["gpu_model"] == "A100"
    stranger = market.add_provider()
    for body in ({"machine_id": stranger.id}, {"machine_id": 999_999}):
        refused(provider.post("/providers/pause", body), 404, "Machine not found")
    refused(provider.delete(f"{MACHINES}/{stranger.id}"), 404, "Machine not found")


def test_suspending_an_owner_suspends_all_of_its_machines(market: LocalMarket, provider: PollDaemon) -> None:
    first, second = market.add_machine(provider), market.add_machine(provider)
    admin = market.admin
    answered(admin.post(f"/admin/providers/{first.id}/suspend"))
    assert [item["status"] == "suspended" for item in machines_of(provider)] == [False, True, False]
    answered(admin.post(f"/admin/providers/{provider.id}/suspend"))
    assert {item["status"] for item in machines_of(provider)} == {"suspended"}
    # One that is added meanwhile is no way out.
    late = market.add_machine(provider)
    market.restart()
    assert {item["status"] for item in machines_of(provider)} == {"suspended"}
    answered(admin.post(f"/admin/providers/{second.id}/unsuspend"))
    assert {item["status"] for item in machines_of(provider)} == {"suspended"}
    answered(admin.post(f"/admin/providers/{provider.id}/unsuspend"))
    free = {item["id"] for item in machines_of(provider) if item["status"] != "suspended"}
    assert free == {provider.id, second.id, late.id}


def test_a_removed_machine_gives_its_jobs_back(market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
    machine = market.add_machine(provider)
    machine.heartbeat()
    run(market, renter, machine)
    earned = answered(provider.get("/providers/earnings"))["total_earned_halala"]
    job = renter.submit(provider_id=machine.id)
    assert market.next_job(machine)["id"] == job["id"]
    refused(provider.delete(f"{MACHINES}/{provider.id}"), 409, "The first machine is removed with the account")
    assert answered(provider.delete(f"{MACHINES}/{machine.id}"))["requeued_jobs"] == 1
    refused(provider.delete(f"{MACHINES}/{machine.id}"), 404, "Machine not found")
    refused(machine.post("/providers/heartbeat", {}), 401)
    assert answered(provider.get("/providers/earnings"))["total_earned_halala"] == earned > 0
    assert [item["id"] for item in machines_of(provider)] == [provider.id]


def test_an_account_takes_its_machines_with_it(market: LocalMarket, provider: PollDaemon) -> None:
    machine = market.add_machine(provider)
    machine.heartbeat()
    answered(provider.delete("/providers/me", {"confirm": "DELETE_MY_ACCOUNT"}))
    for gone in (provider, machine):
        refused(gone.post("/providers/heartbeat", {}), 401)
    refused(market.rest.get(f"/providers/{machine.id}/status"), 404)


@pytest.mark.settings(machines_per_owner=2)
def test_an_account_has_a_most_of_machines(market: LocalMarket, provider: PollDaemon) -> None:
    machine = market.add_machine(provider)
    body = {"name": "Third", "gpu_model": "T4"}
    refused(provider.post(MACHINES, body), 409, "An account has at most 2 machines")
    answered(provider.delete(f"{MACHINES}/{machine.id}"))
    answered(provider.post(MACHINES, body), 201)
