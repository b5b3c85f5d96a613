"""What admins decide about providers: approval, suspension, the key, and the models they should fetch.

Decisions are durable first and then followed: the fleet before the daemon's stream and its jobs, because whoever takes
over a job, and a daemon that comes back at once, are judged by what the fleet knows.
"""

from collections.abc import Awaitable, Callable, Collection
from enum import StrEnum

from dc1.control.fleet.provider import Provider
from dc1.control.operations.attempts import Attempts
from dc1.control.operations.credentials import Credentials
from dc1.control.scheduling.core import Core
from dc1.control.scheduling.sessions import EndReason
from dc1.domain import errors
from dc1.domain.access import keys
from dc1.domain.access.keys import KeyRole
from dc1.domain.access.notifications import NotificationEvent
from dc1.domain.access.roles import Role
from dc1.domain.providers.liveness import Approval, Pause
from dc1.storage.accounts import keys as key_rows
from dc1.storage.accounts import notifications
from dc1.storage.engine.database import Connection
from dc1.storage.providers import approvals, hardware_doubts, owners, providers


class ProviderAction(StrEnum):
    """What an admin may do to many providers at once."""

    APPROVE = "approve"
    SUSPEND = "suspend"
    UNSUSPEND = "unsuspend"


class ProviderSupervision:
    """The admin's side of providers.

    `actor` is the operator, or the fingerprint of the admin token. Every decision raises `Provider not found` for an
    account that was closed meanwhile.
    """

    def __init__(self, core: Core, credentials: Credentials, attempts: Attempts) -> None:
        self._db = core.db
        self._clock = core.clock
        self._fleet = core.fleet
        self._sessions = core.sessions
        self._credentials = credentials
        self._attempts = attempts

    async def approve(self, provider: Provider, actor: str, *, only_pending: bool = False) -> None:
        """Let a provider in, from any state or only from pending; raises `Provider is not pending approval`."""
        now_ms = self._clock.now_ms()
        # The state is asked for by the statement that changes it: what the fleet knows may be older than another
        # replica's decision.
        account_id = provider.account_id

        def approve(conn: Connection) -> bool:
            decided = approvals.approve(conn, provider.id, actor, now_ms, only_pending=only_pending)
            if decided:
                event, facts = NotificationEvent.MACHINE_APPROVED, {"machine_id": provider.id}
                notifications.tell(conn, Role.PROVIDER, account_id, event, facts, now_ms)
            return decided

        decided = await self._db.write(approve)
        if not decided:
            raise errors.provider_not_pending() if only_pending else errors.provider_not_found()
        self._fleet.decide(provider, Approval.APPROVED, now_ms, None)
        await self._attempts.bookability_changed(provider)

    async def reject(self, provider: Provider, actor: str, reason: str, *, only_pending: bool = False) -> None:
        """Turn a provider away and take its jobs; raises also as `approve` does.

        Raises:
            rejection_reason_required: The reason is empty.
        """
        if not reason:
            raise errors.rejection_reason_required()
        now_ms = self._clock.now_ms()
        decided = await self._db.write(
            lambda conn: approvals.reject(conn, provider.id, actor, reason, now_ms, only_pending=only_pending)
        )
        if not decided:
            raise errors.provider_not_pending() if only_pending else errors.provider_not_found()
        self._fleet.decide(provider, Approval.REJECTED, None, reason)
        # The key stays good, so that its owner can read why and be paid. What the daemon says is refused by the
        # approval.
        self._sessions.end(provider.id, EndReason.ACCESS_REVOKED)
        await self._attempts.evict(provider, "The provider was rejected", by_operator=True)

    async def suspend(self, provider: Provider) -> None:
        """Give a machine no work, with an owner none of its machines, and put back what they run.

        Their daemons may still report and read.
        """
        for machine in await self._store_suspension(provider, suspended=True):
            await self._attempts.evict(machine, "The provider was suspended", by_operator=True)

    async def unsuspend(self, provider: Provider) -> None:
        """Let a machine have work again, with an owner all machines that are not suspended by themselves."""
        for machine in await self._store_suspension(provider, suspended=False):
            await self._attempts.bookability_changed(machine)

    async def drain(self, provider: Provider) -> None:
        """Give a machine no new work; what runs goes on, and offers that were not accepted are taken back."""
        await self._set_drained(provider, drained=True)

    async def undrain(self, provider: Provider) -> None:
        """Let a machine have work again, unless its owner paused it."""
        await self._set_drained(provider, drained=False)

    async def _set_drained(self, provider: Provider, *, drained: bool) -> None:
        if not await self._db.write(lambda conn: providers.set_drained(conn, provider.id, drained)):
            raise errors.provider_not_found()
        self._fleet.set_paused(provider, drained, Pause.ADMIN)
        await self._attempts.bookability_changed(provider)

    async def _store_suspension(self, provider: Provider, *, suspended: bool) -> list[Provider]:
        """Store it, and return whom it concerns, as far as they are known here."""
        stored = await self._db.write(lambda conn: owners.set_suspended(conn, provider.id, suspended))
        if not stored:
            raise errors.provider_not_found()
        # One that another replica has just added comes in by the feed, as it is stored.
        concerned = [machine for machine in map(self._fleet.get, stored) if machine is not None]
        for machine in concerned:
            self._fleet.set_suspended(machine, stored[machine.id])
        return concerned

    async def clear_mismatch(self, provider: Provider) -> str | None:
        """Take a GPU to be what its daemon reports; return what the market had found against it, None for nothing."""
        cleared, hardware = provider.mismatch, provider.doubted_hardware
        if not await self._db.write(lambda conn: hardware_doubts.accept(conn, provider.id, hardware)):
            raise errors.provider_not_found()
        self._fleet.accept_hardware(provider, hardware)
        await self._attempts.bookability_changed(provider)
        return cleared

    async def reset_key(self, provider: Provider) -> str:
        """Replace the key and return the new one; the old one, and a stream that was opened with it, end at once."""
        key = keys.new_key(KeyRole.PROVIDER)
        now_ms = self._clock.now_ms()
        await self._db.write(lambda conn: key_rows.rotate(conn, KeyRole.PROVIDER, provider.id, key, now_ms))
        # The old key is forgotten before its stream ends: a daemon that comes back with it must not be let in from
        # memory.
        self._credentials.invalidate_account(Role.PROVIDER, provider.id)
        # No job is taken back: the daemon has the grace of a lost stream to return with the new key and its leases.
        self._sessions.end(provider.id, EndReason.ACCESS_REVOKED)
        return key.key

    async def preload(self, provider: Provider, model: str) -> int:
        """Ask the daemon, by the answer to its next beat, to fetch a model; return the time of the wish.

        Raises:
            provider_not_found: The account was closed meanwhile.
        """
        now_ms = self._clock.now_ms()
        if not await self._db.write(lambda conn: providers.set_preload(conn, provider.id, model, now_ms)):
            raise errors.provider_not_found()
        provider.wish_for(model)
        return now_ms

    async def act_on_all(
        self,
        ids: Collection[int],
        action: ProviderAction,
        actor: str,
        find: Callable[[int], Awaitable[Provider]],
    ) -> int:
        """Do one thing to many providers and return to how many it could not be done; `find` raises for an unknown id.

        Not in one transaction, unlike what is done to many renters: each decision is followed by work of its own, and
        what cannot be done to one provider keeps nobody else from it.
        """
        failed = 0
        for provider_id in ids:
            try:
                await self._act(await find(provider_id), action, actor)
            except errors.ApiError:
                failed += 1
        return failed

    async def _act(self, provider: Provider, action: ProviderAction, actor: str) -> None:
        match action:
            case ProviderAction.APPROVE:
                await self.approve(provider, actor)
            case ProviderAction.SUSPEND:
                await self.suspend(provider)
            case ProviderAction.UNSUSPEND:
                await self.unsuspend(provider)
