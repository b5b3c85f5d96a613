import pytest

from dc1.domain.access.keys import KeyRole, new_key
from dc1.domain.base.clock import DAY_MS
from dc1.domain.errors import ApiError
from dc1.domain.providers.reports import EventSeverity
from dc1.storage.accounts import keys, renters
from dc1.storage.accounts.renters import NewRenter
from dc1.storage.admin import audit, catalog
from dc1.storage.engine.database import Database
from dc1.storage.providers import daemon_events, owners, providers
from dc1.storage.providers.daemon_events import NewDaemonEvent
from dc1.storage.providers.providers import NewProvider, StoredReport
from tests.storage.market import NOW, Market


@pytest.fixture
def market(db: Database) -> Market:
    return Market(db)


async def test_an_address_has_one_account_of_each_kind(market: Market) -> None:
    renter = NewRenter("نورة", "n@example.sa", organization="Tuwaiq \x00 Lab")
    renter_id = await market.do(renters.register, renter, 1000, NOW)
    provider = NewProvider("P", "n@example.sa", "RTX 4090", "linux", vram_mib=24576, resource_spec={"cpu": 1.0})
    provider_id = await market.do(providers.register, provider, NOW)
    for register in (
        lambda conn: renters.register(conn, renter, 0, NOW),
        lambda conn: providers.register(conn, provider, NOW),
    ):
        with pytest.raises(ApiError) as caught:
            await market.db.write(register)
        assert (caught.value.status, caught.value.code) == (409, "EMAIL_TAKEN")
    stored = await market.see(renters.get, renter_id)
    assert stored is not None
    assert (stored.name, stored.organization, stored.balance_halala) == ("نورة", "Tuwaiq \ufffd Lab", 1000)
    row = await market.see(providers.get, provider_id)
    assert row is not None
    assert (row.approval_status, row.channel, row.last_heartbeat_ms, row.vram_mib) == ("pending", "none", None, 24576)
    assert row.resource_spec == {"cpu": 1.0}
    assert await market.see(renters.get, 99) is None
    assert await market.see(providers.get, 99) is None


async def test_reports_of_many_providers_are_stored_at_once(market: Market) -> None:
    ids = [await market.provider() for _ in range(3)]
    status = {"gpu_util_pct": None, "x": {"a": 512}}
    reports = [
        StoredReport(
            provider_id,
            "stream",
            NOW + 5,
            heartbeats=3,
            gpu_name="NVIDIA GeForce RTX 4090",
            vram_mib=24564,
            gpu_count=2,
            cached_models=["a/B"],
            job_types=["llm_inference"],
            gpu_status=status,
        )
        for provider_id in reversed(ids)
    ]
    await market.do(providers.flush_reports, reports, NOW)
    await market.do(providers.flush_reports, reports[:1], NOW + DAY_MS)
    await market.do(providers.flush_reports, [], NOW)
    fleet = await market.see(providers.load_all)
    assert [row.id for row in fleet] == ids
    assert {(row.channel, row.last_heartbeat_ms, row.gpu_count, row.vram_mib) for row in fleet} == {
        ("stream", NOW + 5, 2, 24564)
    }
    assert fleet[0].gpu_status == status
    assert fleet[0].cached_models == ["a/B"]
    assert [row.heartbeats_received for row in fleet] == [3, 3, 6]
    assert all(row.approval_status == "approved" for row in fleet), "a report touches nothing else"
    assert await market.see(providers.load_recent_heartbeats, NOW + DAY_MS) == {ids[0]: 3, ids[1]: 3, ids[2]: 6}
    assert await market.see(providers.load_recent_heartbeats, NOW + 7 * DAY_MS) == {ids[2]: 3}


async def test_approval(market: Market) -> None:
    provider = await market.provider(approved=False)
    assert not await market.do(providers.set_approved, 99, NOW)
    assert await market.do(providers.set_approved, provider, NOW, only_pending=True)
    assert not await market.do(providers.set_rejected, provider, "late", only_pending=True)
    assert await market.do(providers.set_rejected, provider, "no GPU")
    row = await market.see(providers.get, provider)
    assert row is not None
    assert (row.approval_status, row.approved_at_ms, row.rejected_reason) == ("rejected", None, "no GPU")


async def test_the_owner_and_the_admin_change_settings(market: Market) -> None:
    provider = await market.provider()
    changes = {"run_mode": "scheduled", "scheduled_start": "22:00", "supported_compute_types": ["inference"]}
    assert await market.do(providers.set_preferences, provider, **changes)
    assert await market.do(providers.set_preload, provider, "org/m", NOW)
    row = await market.see(providers.get, provider)
    assert row is not None
    assert (row.run_mode, row.supported_compute_types, row.preload_requested_at_ms) == ("scheduled", ["inference"], NOW)
    assert await market.do(owners.mark_deleted, provider, NOW)
    assert not await market.do(providers.set_paused, provider, True)


async def test_keys_are_found_by_id_and_kept_as_hashes(market: Market) -> None:
    key = new_key(KeyRole.RENTER)
    await market.do(keys.add, KeyRole.RENTER, 7, key, NOW)
    found = await market.see(keys.find, key.key_id)
    assert found is not None
    assert (found.key_hash, found.role, found.owner_id, found.scopes) == (key.key_hash, "renter", 7, None)
    assert key.key not in repr(found)
    assert found.is_live(NOW)
    assert await market.see(keys.find, "unknown") is None
    newer = new_key(KeyRole.RENTER)
    await market.do(keys.rotate, KeyRole.RENTER, 7, newer, NOW + 1)
    rotated = await market.see(keys.find, key.key_id)
    assert rotated is not None
    assert rotated.revoked_at_ms == NOW + 1
    assert not rotated.is_live(NOW + 1)


async def test_keys_that_ended_long_ago_are_forgotten_and_others_never(market: Market) -> None:
    live, stopped, expired, later = (new_key(KeyRole.SCOPED) for _ in range(4))
    for key, expires in ((live, None), (stopped, None), (expired, NOW - 10), (later, NOW + 10)):
        await market.do(keys.add, KeyRole.SCOPED, 7, key, NOW - 20, scopes=["billing"], expires_at_ms=expires)
    await market.do(keys.revoke, KeyRole.SCOPED, 7, stopped.key_id, NOW - 10)
    assert await market.do(keys.purge, NOW - 10, 100) == 0
    assert await market.do(keys.purge, NOW - 9, 100) == 2
    left = await market.see(keys.list_of, KeyRole.SCOPED, 7)
    assert {row.key_id for row in left} == {live.key_id, later.key_id}


async def test_the_audit_trail_forgets_acts_and_refusals_each_in_its_time(market: Market) -> None:
    for days, reason in ((500, None), (399, None), (399, "unauthenticated"), (89, "unauthenticated")):
        at_ms = NOW - days * DAY_MS
        await market.do(audit.record, audit.NewAuditEntry(at_ms, "abc", "GET", f"/{days}", 200, reason=reason))
    assert await market.do(audit.purge, NOW - 400 * DAY_MS, NOW - 90 * DAY_MS, 100) == 2
    left = (await market.see(audit.page, limit=9)).rows
    assert [(row.path, row.reason) for row in left] == [("/89", "unauthenticated"), ("/399", None)]


async def test_scoped_keys_are_listed_counted_and_revoked(market: Market) -> None:
    made = [new_key(KeyRole.SCOPED) for _ in range(3)]
    for number, key in enumerate(made):
        expires = NOW + 10 if number == 0 else None
        await market.do(
            keys.add, KeyRole.SCOPED, 7, key, NOW + number, scopes=["jobs.read"], label="ci", expires_at_ms=expires
        )
    listed = await market.see(keys.list_of, KeyRole.SCOPED, 7)
    assert [row.key_id for row in listed] == [key.key_id for key in reversed(made)]
    assert listed[0].scopes == ["jobs.read"]
    assert await market.see(keys.count_live, KeyRole.SCOPED, 7, NOW) == 3
    assert await market.see(keys.count_live, KeyRole.SCOPED, 7, NOW + 10) == 2
    assert not listed[2].is_live(NOW + 10)
    assert not await market.do(keys.revoke, KeyRole.SCOPED, 8, made[1].key_id, NOW), "somebody else's"
    assert await market.do(keys.revoke, KeyRole.SCOPED, 7, made[1].key_id, NOW)
    assert not await market.do(keys.revoke, KeyRole.SCOPED, 7, made[1].key_id, NOW)
    await market.do(keys.touch_many, {made[2].key_id: NOW + 99})
    await market.do(keys.touch_many, {})
    used = await market.see(keys.find, made[2].key_id)
    assert used is not None
    assert used.last_used_at_ms == NOW + 99


async def test_prices_and_images_change(market: Market) -> None:
    row = await market.do(catalog.set_price, "training", 30, NOW)
    assert (row.rate_halala, (await market.see(catalog.rates))["training"]) == (30, 30)
    with pytest.raises(ApiError, match="Price not found"):
        await market.do(catalog.set_price, "mining", 1, NOW)
    image = await market.do(catalog.approve_image, "docker.io/org/image:1", NOW)
    again = await market.do(catalog.approve_image, "docker.io/org/image:1", NOW + 1, description="x")
    assert (again.id, again.approved_at_ms, again.description) == (image.id, NOW, "x")


async def test_what_a_caller_names_may_hold_anything(market: Market) -> None:
    renter = await market.renter()
    with pytest.raises(ApiError, match="Price not found"):
        await market.do(catalog.set_price, "\x00", 5, NOW)
    assert not await market.do(keys.revoke, KeyRole.SCOPED, renter, "\x00", NOW)
    image = await market.do(catalog.approve_image, "org/image\x00", NOW, image_type="\x00", description="\x00")
    assert (image.image_ref, image.image_type, image.description) == ("org/image\ufffd", "\ufffd", "\ufffd")


async def test_the_audit_trail_is_newest_first(market: Market) -> None:
    for number in range(3):
        entry = audit.NewAuditEntry(NOW + number, "abc", "PATCH", f"/x/{number}", 200, provider_id=number or None)
        await market.do(audit.record, entry)
    page = await market.see(audit.page, limit=2)
    assert (page.total, [row.path for row in page.rows]) == (3, ["/x/2", "/x/1"])
    assert [row.path for row in (await market.see(audit.page, limit=9, provider_id=1)).rows] == ["/x/1"]


async def test_a_rotated_key_has_a_grace_that_never_lengthens_its_life(market: Market) -> None:
    lasting, ending, newer = (new_key(KeyRole.PROVIDER) for _ in range(3))
    await market.do(keys.add, KeyRole.PROVIDER, 7, lasting, NOW)
    await market.do(keys.add, KeyRole.PROVIDER, 7, ending, NOW, expires_at_ms=NOW + 50)
    await market.do(keys.rotate_with_grace, KeyRole.PROVIDER, 7, newer, NOW, NOW + 100)
    found = {row.key_id: row.expires_at_ms for row in await market.see(keys.list_of, KeyRole.PROVIDER, 7)}
    assert found == {lasting.key_id: NOW + 100, ending.key_id: NOW + 50, newer.key_id: None}
    assert await market.see(keys.expired_between, KeyRole.PROVIDER, NOW, NOW + 99) == {ending.key_id}
    assert await market.see(keys.expired_between, KeyRole.PROVIDER, NOW + 99, NOW + 100) == {lasting.key_id}
    assert await market.see(keys.expired_between, KeyRole.RENTER, NOW, NOW + 100) == set()


async def test_the_personal_data_of_a_closed_account_is_erased_once(market: Market) -> None:
    closed, other = await market.provider(), await market.provider()
    await market.do(owners.mark_deleted, closed, NOW, NOW + 100)
    assert await market.do(providers.erase_due, NOW + 99) == []
    (erased,) = await market.do(providers.erase_due, NOW + 100)
    assert (erased.id, erased.name, erased.email) == (closed, "Deleted account", f"deleted-{closed}@account.invalid")
    assert await market.do(providers.erase_due, NOW + 200) == []
    kept = await market.see(providers.get, other)
    assert kept is not None
    assert kept.name != "Deleted account"


async def test_limits_need_not_be_whole(market: Market) -> None:
    provider = await market.provider()
    await market.do(providers.set_preferences, provider, gpu_usage_cap_pct=62.5, temp_limit_c=82.5)
    row = await market.see(providers.get, provider)
    assert row is not None
    assert (row.gpu_usage_cap_pct, row.temp_limit_c) == (62.5, 82.5)


async def test_events_of_daemons_are_forgotten(market: Market) -> None:
    provider = await market.provider()
    for at_ms in (NOW, NOW + 1):
        await market.do(daemon_events.record, NewDaemonEvent(provider, "boot", EventSeverity.INFO, {"a": [1]}, at_ms))
    await market.do(daemon_events.purge, NOW + 1, 10)
    (event,) = await market.see(daemon_events.latest, 0, 10)
    assert (event.created_at_ms, event.details) == (NOW + 1, {"a": [1]})
