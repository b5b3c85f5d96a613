"""What owners do with their providers' accounts: open, set up, pause, rotate the key, close.

Every command stores first and lets memory follow once that is durable: a transaction may be rolled back and run again,
and placement must never act on what was not committed. What follows at once comes before the first `await`, so that no
other call sees half of a command; taking jobs back waits for the database and comes last.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dc1.control.fleet.loading import provider_from_row
from dc1.control.fleet.provider import Provider
from dc1.control.operations.attempts import Attempts
from dc1.control.operations.credentials import Credentials, require_current
from dc1.control.scheduling.core import Core
from dc1.control.scheduling.dispatcher import Dispatcher
from dc1.control.scheduling.sessions import EndReason
from dc1.domain import errors
from dc1.domain.access import keys
from dc1.domain.access.keys import KeyRole, NewKey
from dc1.domain.access.notifications import NotificationEvent
from dc1.domain.access.roles import Role
from dc1.domain.base.clock import ERASED_AFTER_MS
from dc1.domain.base.json_types import JsonObject
from dc1.domain.providers.preferences import RunMode
from dc1.storage.accounts import keys as key_rows
from dc1.storage.accounts import notifications
from dc1.storage.accounts.notifications import OPERATORS
from dc1.storage.engine.database import Connection
from dc1.storage.engine.transaction_hook import NO_HOOK, TransactionHook, hooked
from dc1.storage.money import withdrawals
from dc1.storage.providers import owners, providers
from dc1.storage.providers.owners import NewMachine
from dc1.storage.providers.providers import NewProvider, ProviderRow


@dataclass(frozen=True, slots=True)
class OpenedProvider:
    """A new account, and its key, which is shown once and never stored."""

    account: ProviderRow
    api_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RotatedKey:
    """A key that took an older one's place; the older one works until `old_until_ms`."""

    api_key: str = field(repr=False)
    old_until_ms: int


@dataclass(frozen=True, slots=True)
class ClosedProvider:
    """What the end of an account did, and when its personal data is erased."""

    requeued_jobs: int
    erase_at_ms: int


class ProviderAccounts:
    """The owner's side of providers."""

    def __init__(self, core: Core, credentials: Credentials, dispatcher: Dispatcher, attempts: Attempts) -> None:
        self._db = core.db
        self._clock = core.clock
        self._config = core.config
        self._fleet = core.fleet
        self._sessions = core.sessions
        self._credentials = credentials
        self._dispatcher = dispatcher
        self._attempts = attempts

    async def register(self, new: NewProvider, hook: TransactionHook[OpenedProvider] = NO_HOOK) -> OpenedProvider:
        """Open an account that waits for approval; `hook` shares the transaction. Raises EMAIL_TAKEN."""
        # Made out here because the transaction may run twice, and the caller is shown one key.
        key = keys.new_key(KeyRole.PROVIDER)
        now_ms = self._clock.now_ms()
        # The key in the same transaction: an account without one could be neither used nor registered again.
        opened = await self._db.write(
            hooked(hook, lambda conn: OpenedProvider(_open_account(conn, new, key, now_ms), key.key))
        )
        self._fleet.add(provider_from_row(opened.account))
        return opened

    async def add_machine(
        self, owner_id: int, new: NewMachine, key_id: str | None, hook: TransactionHook[OpenedProvider] = NO_HOOK
    ) -> OpenedProvider:
        """Put a machine that waits for approval into an owner's account; `hook` shares the transaction.

        `key_id` is the key that the call came with. Raises `Invalid API key` when it was replaced meanwhile, and
        `An account has at most … machines`.
        """
        key = keys.new_key(KeyRole.PROVIDER)
        now_ms, most = self._clock.now_ms(), self._config.machines_per_owner

        def add(conn: Connection) -> OpenedProvider:
            require_current(conn, key_id)
            machine = _with_key(conn, owners.add_machine(conn, owner_id, new, most, now_ms), key, now_ms)
            return OpenedProvider(machine, key.key)

        opened = await self._db.write(hooked(hook, add))
        self._fleet.add(provider_from_row(opened.account))
        return opened

    async def rename(self, provider: Provider, name: str) -> None:
        """Give the machine another name."""
        await self._db.write(lambda conn: providers.set_preferences(conn, provider.id, name=name))
        self._fleet.rename(provider, name)

    async def set_preferences(self, provider: Provider, changes: Mapping[str, Any]) -> None:
        """Change when and how far the machine may be used.

        `changes` are fields of Preferences, and no change is fine.
        """
        if not changes:
            return
        await self._db.write(lambda conn: providers.set_preferences(conn, provider.id, **changes))
        # From what is known now and not from before the write: another change may have been committed meanwhile.
        preferences = replace(provider.preferences, **changes)
        preferences = replace(preferences, run_mode=RunMode(preferences.run_mode))
        self._fleet.set_preferences(provider, preferences)
        await self._attempts.bookability_changed(provider)

    async def set_gpu_profile(
        self,
        provider: Provider,
        *,
        gpu_model: str | None,
        vram_mib: int | None,
        gpu_count: int | None,
        compute_types: Collection[str] | None,
    ) -> None:
        """Change what the account says of the GPU, where given.

        Raises:
            gpu_profile_reported: A daemon has said it, who knows better.
        """
        if provider.hardware_reported:
            raise errors.gpu_profile_reported()
        facts = replace(
            provider.facts,
            vram_mib=provider.facts.vram_mib if vram_mib is None else vram_mib,
            gpu_count=provider.facts.gpu_count if gpu_count is None else gpu_count,
        )
        model = provider.registered_gpu_model if gpu_model is None else gpu_model
        kinds = provider.compute_types if compute_types is None else frozenset(compute_types)
        changes = {
            "gpu_model": model,
            "vram_mib": facts.vram_mib,
            "gpu_count": facts.gpu_count,
            "supported_compute_types": sorted(kinds),
        }
        await self._db.write(lambda conn: providers.set_preferences(conn, provider.id, **changes))
        self._fleet.set_gpu_profile(provider, model, facts, kinds)
        # Jobs that did not fit the machine as it was described may fit it now.
        self._dispatcher.wake(provider.id)

    async def pause(self, provider: Provider) -> None:
        """Stop new work; what runs goes on, and offers that were not accepted are taken back."""
        await self._set_paused(provider, paused=True)

    async def resume(self, provider: Provider) -> None:
        """Let the machine be given new work again."""
        await self._set_paused(provider, paused=False)

    async def _set_paused(self, provider: Provider, *, paused: bool) -> None:
        await self._db.write(lambda conn: providers.set_paused(conn, provider.id, paused))
        self._fleet.set_paused(provider, paused)
        await self._attempts.bookability_changed(provider)

    async def rotate_key(self, provider_id: int, key_id: str | None) -> RotatedKey:
        """Replace the key; the old one has a grace, because the owner has yet to carry the new one to the machine.

        `key_id` is the key that the call came with; raises `Invalid API key` when it was replaced meanwhile.
        """
        key = keys.new_key(KeyRole.PROVIDER)
        now_ms = self._clock.now_ms()
        until_ms = now_ms + round(self._config.key_rotation_grace_seconds * 1000)

        def replace_key(conn: Connection) -> None:
            require_current(conn, key_id)
            key_rows.rotate_with_grace(conn, KeyRole.PROVIDER, provider_id, key, now_ms, until_ms)

        await self._db.write(replace_key)
        # The remembered old key knows nothing of its new end and would outlive it. Its stream stays open until then:
        # ProviderUpkeep ends the streams of keys whose grace has passed.
        self._credentials.invalidate_account(Role.PROVIDER, provider_id)
        return RotatedKey(key.key, until_ms)

    async def end_grace(self, provider_id: int) -> None:
        """Stop the keys that were replaced: the daemon has the new one, which is what they had a grace for."""
        now_ms = self._clock.now_ms()
        await self._db.write(lambda conn: key_rows.revoke_in_grace(conn, KeyRole.PROVIDER, provider_id, now_ms))
        self._credentials.invalidate_account(Role.PROVIDER, provider_id)

    async def close(self, provider: Provider) -> ClosedProvider:
        """Close a machine, with an owner the account and all machines, and give their jobs to others.

        Raises `A withdrawal is already pending` while one is.
        """
        now_ms = self._clock.now_ms()
        erase_at_ms = now_ms + ERASED_AFTER_MS
        closed = await self._db.write(lambda conn: _close_account(conn, provider.id, now_ms, erase_at_ms))
        machines = [machine for machine in map(self._fleet.get, closed) if machine is not None]
        for machine in machines:
            # The key is forgotten before the stream ends: a daemon that comes back at once must not be let in from
            # memory.
            self._credentials.invalidate_account(Role.PROVIDER, machine.id)
            # Closed before any jobs are put back, so that none of them is offered to these machines again.
            self._fleet.close(machine)
            self._sessions.end(machine.id, EndReason.ACCESS_REVOKED)
        requeued = [await self._attempts.evict(machine, "The provider closed its account") for machine in machines]
        return ClosedProvider(sum(requeued), erase_at_ms)


def _open_account(conn: Connection, new: NewProvider, key: NewKey, now_ms: int) -> ProviderRow:
    return _with_key(conn, providers.register(conn, new, now_ms), key, now_ms)


def _with_key(conn: Connection, provider_id: int, key: NewKey, now_ms: int) -> ProviderRow:
    key_rows.add(conn, KeyRole.PROVIDER, provider_id, key, now_ms)
    # Read back, so that the fleet starts with the defaults that the schema filled in.
    row = providers.get(conn, provider_id)
    assert row is not None
    facts: JsonObject = {"machine_id": row.id, "name": row.name}
    notifications.tell(conn, Role.ADMIN, OPERATORS, NotificationEvent.APPROVAL_WAITING, facts, now_ms)
    return row


def _close_account(conn: Connection, provider_id: int, now_ms: int, erase_at_ms: int) -> list[int]:
    # A payout under way names a bank account that the erasure would mask. In one transaction with the closing, so that
    # none is asked for in between.
    if withdrawals.has_open(conn, provider_id):
        raise errors.withdrawal_pending()
    closed = owners.mark_deleted(conn, provider_id, now_ms, erase_at_ms)
    if not closed:
        raise errors.provider_not_found()
    for machine_id in closed:
        key_rows.revoke_all(conn, KeyRole.PROVIDER, machine_id, now_ms)
    # With what opens them, of which nothing is to be left.
    notifications.forget_all_of(conn, Role.PROVIDER, provider_id)
    return closed
