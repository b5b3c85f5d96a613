"""What admins decide about providers: approval, suspension, and the models they should fetch."""

from dc1.control.control_plane import ControlPlane
from dc1.control.fleet.provider import Provider
from dc1.control.scheduling.sessions import EndReason
from dc1.domain import errors
from dc1.domain.providers.liveness import Approval
from dc1.storage.providers import approvals, providers


class ProviderSupervision:
    """Decisions that are durable first and then followed: work is given or taken away at once.

    `actor` is the fingerprint of the admin's token. Every decision raises `Provider not found` for an account that is
    closed.
    """

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane

    async def approve(self, provider: Provider, actor: str, *, only_pending: bool = False) -> None:
        """Let a provider in, from any state or only from pending; raises `Provider is not pending approval`."""
        now_ms = self._plane.clock.now_ms()
        decided = await self._plane.db.write(
            lambda conn: approvals.approve(conn, provider.id, actor, now_ms, only_pending=only_pending)
        )
        if not decided:
            raise errors.provider_not_pending() if only_pending else errors.provider_not_found()
        self._plane.fleet.decide(provider, Approval.APPROVED, now_ms, None)
        await self._plane.attempts.bookability_changed(provider)

    async def reject(self, provider: Provider, actor: str, reason: str, *, only_pending: bool = False) -> None:
        """Turn a provider away and take its jobs; raises as `approve` does, and `Rejection reason is required`."""
        if not reason:
            raise errors.rejection_reason_required()
        now_ms = self._plane.clock.now_ms()
        decided = await self._plane.db.write(
            lambda conn: approvals.reject(conn, provider.id, actor, reason, now_ms, only_pending=only_pending)
        )
        if not decided:
            raise errors.provider_not_pending() if only_pending else errors.provider_not_found()
        self._plane.fleet.decide(provider, Approval.REJECTED, None, reason)
        self._plane.sessions.end(provider.id, EndReason.ACCESS_REVOKED)
        await self._plane.attempts.evict(provider, "The provider was rejected")

    async def suspend(self, provider: Provider) -> None:
        """Give a provider no work, and put back what it runs; its daemon may still report and read."""
        await self._store_suspension(provider, suspended=True)
        await self._plane.attempts.evict(provider, "The provider was suspended")

    async def unsuspend(self, provider: Provider) -> None:
        """Let a provider have work again."""
        await self._store_suspension(provider, suspended=False)
        await self._plane.attempts.bookability_changed(provider)

    async def _store_suspension(self, provider: Provider, *, suspended: bool) -> None:
        if not await self._plane.db.write(lambda conn: providers.set_suspended(conn, provider.id, suspended)):
            raise errors.provider_not_found()
        self._plane.fleet.set_suspended(provider, suspended)

    async def preload(self, provider: Provider, model: str) -> int:
        """Ask the daemon, by the answer to its next beat, to fetch a model; return the time of the wish."""
        now_ms = self._plane.clock.now_ms()
        if not await self._plane.db.write(lambda conn: providers.set_preload(conn, provider.id, model, now_ms)):
            raise errors.provider_not_found()
        provider.wish_for(model)
        return now_ms
