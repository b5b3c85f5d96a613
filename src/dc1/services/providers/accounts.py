"""ProviderAccountService: preferences, hardware profile, key, a copy of everything, and the end of an account."""

from dataclasses import replace
from typing import Any

from google.protobuf.struct_pb2 import Value

from dc1.control.control_plane import ControlPlane
from dc1.control.fleet.provider import Provider
from dc1.control.operations.credentials import Credentials
from dc1.control.scheduling.sessions import EndReason
from dc1.domain import errors
from dc1.domain.access import keys
from dc1.domain.access.keys import KeyRole
from dc1.domain.access.roles import Role
from dc1.domain.base.clock import iso
from dc1.domain.base.retention import ERASED_AFTER_MS
from dc1.domain.jobs.states import COMPUTE_TYPES
from dc1.domain.providers.preferences import RunMode
from dc1.services.api.call import caller_id
from dc1.services.api.values import from_value
from dc1.services.providers.earnings import earnings_day, withdrawal_message
from dc1.services.providers.messages import Income, preferences_message, provider_job, provider_message
from dc1.storage.accounts import keys as key_rows
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import jobs
from dc1.storage.jobs.jobs import JobFilter
from dc1.storage.money import withdrawals
from dc1.storage.providers import providers
from dcp.v1 import provider_account_service_pb2 as pb
from dcp.v1.provider_account_service_pb2_grpc import ProviderAccountServiceServicer

_CONFIRMATION = "DELETE_MY_ACCOUNT"
_EVERYTHING = 1_000_000_000
_CREDENTIAL = "key"


class ProviderAccountServicer(ProviderAccountServiceServicer):
    """Providers looking after their account."""

    def __init__(self, plane: ControlPlane, credentials: Credentials) -> None:
        self._plane = plane
        self._credentials = credentials

    async def UpdatePreferences(
        self, request: pb.UpdatePreferencesRequest, context: Any
    ) -> pb.UpdatePreferencesResponse:
        """Change when and how far the machine may be used."""
        provider = await self._caller()
        changes = {field.name: value for field, value in request.ListFields() if field.name != _CREDENTIAL}
        if changes:
            await self._plane.db.write(lambda conn: providers.set_preferences(conn, provider.id, **changes))
            preferences = replace(provider.preferences, **changes)
            preferences = replace(preferences, run_mode=RunMode(preferences.run_mode))
            self._plane.fleet.set_preferences(provider, preferences)
            await self._plane.attempts.bookability_changed(provider)
        return pb.UpdatePreferencesResponse(success=True, preferences=preferences_message(provider.preferences))

    async def UpdateGpuProfile(self, request: pb.UpdateGpuProfileRequest, context: Any) -> pb.UpdateGpuProfileResponse:
        """Change what the account says of the GPU, as long as no daemon has."""
        provider = await self._caller()
        types = _compute_types(request.supported_compute_types)
        if provider.facts.gpu_name is not None:
            raise errors.gpu_profile_reported()
        facts = replace(
            provider.facts,
            vram_mib=request.vram_mb if request.HasField("vram_mb") else provider.facts.vram_mib,
            gpu_count=request.gpu_count if request.HasField("gpu_count") else provider.facts.gpu_count,
        )
        model = request.gpu_model if request.HasField("gpu_model") else provider.registered_gpu_model
        compute_types = provider.compute_types if types is None else frozenset(types)
        changes: dict[str, Any] = {"gpu_model": model, "vram_mib": facts.vram_mib, "gpu_count": facts.gpu_count}
        changes["supported_compute_types"] = sorted(compute_types)
        await self._plane.db.write(lambda conn: providers.set_preferences(conn, provider.id, **changes))
        self._plane.fleet.set_gpu_profile(provider, model, facts, compute_types)
        self._plane.dispatcher.wake(provider.id)
        profile = pb.GpuProfile(
            gpu_model=provider.gpu_model,
            vram_mb=provider.facts.vram_mib or 0,
            gpu_count=provider.slots,
            supported_compute_types=provider.listed_compute_types,
        )
        return pb.UpdateGpuProfileResponse(success=True, profile=profile)

    async def RotateProviderKey(
        self, request: pb.RotateProviderKeyRequest, context: Any
    ) -> pb.RotateProviderKeyResponse:
        """Replace the caller's key; the old one has a grace."""
        provider_id = caller_id()
        key = keys.generate(KeyRole.PROVIDER)
        now_ms = self._plane.clock.now_ms()
        until_ms = now_ms + round(self._plane.config.key_rotation_grace_seconds * 1000)

        def work(conn: Connection) -> None:
            key_rows.rotate_with_grace(conn, KeyRole.PROVIDER, provider_id, key, now_ms, until_ms)

        await self._plane.db.write(work)
        self._credentials.invalidate_account(Role.PROVIDER, provider_id)
        return pb.RotateProviderKeyResponse(
            success=True,
            message=f"Store this API key now, it is not shown again. The old one works until {iso(until_ms)}.",
            api_key=key.key,
            new_key=key.key,
            provider_id=provider_id,
            old_key_expires_at=iso(until_ms),
        )

    async def ExportProvider(self, request: pb.ExportProviderRequest, context: Any) -> pb.ExportProviderResponse:
        """Hand the caller everything that is kept of the account."""
        provider = await self._caller()
        now_ms = self._plane.clock.now_ms()

        def work(conn: Connection) -> tuple[Income, pb.ExportProviderResponse]:
            found = jobs.latest(conn, JobFilter(provider_id=provider.id), limit=_EVERYTHING)
            asked = withdrawals.page(conn, limit=_EVERYTHING, provider_id=provider.id)
            return Income.read(conn, provider.id, now_ms), pb.ExportProviderResponse(
                exported_at=iso(now_ms),
                jobs=[provider_job(job) for job in found],
                earnings=[earnings_day(day) for day in providers.earnings_by_day(conn, provider.id, 0)],
                withdrawals=[withdrawal_message(row) for row in asked.rows],
            )

        income, answer = await self._plane.db.read(work)
        answer.account.CopyFrom(provider_message(self._plane, provider, income))
        return answer

    async def DeleteProvider(self, request: pb.DeleteProviderRequest, context: Any) -> pb.DeleteProviderResponse:
        """Close the caller's account."""
        if request.confirm != _CONFIRMATION:
            raise errors.deletion_not_confirmed()
        provider = await self._caller()
        now_ms = self._plane.clock.now_ms()
        erase_at_ms = now_ms + ERASED_AFTER_MS

        def close(conn: Connection) -> None:
            if withdrawals.has_open(conn, provider.id):
                raise errors.withdrawal_pending()
            if not providers.mark_deleted(conn, provider.id, now_ms, erase_at_ms):
                raise errors.provider_not_found()
            key_rows.revoke_all(conn, KeyRole.PROVIDER, provider.id, now_ms)

        await self._plane.db.write(close)
        self._credentials.invalidate_account(Role.PROVIDER, provider.id)
        self._plane.fleet.close(provider)
        self._plane.sessions.end(provider.id, EndReason.ACCESS_REVOKED)
        requeued = await self._plane.attempts.evict(provider, "The provider closed its account")
        return pb.DeleteProviderResponse(
            success=True,
            requeued_jobs=requeued,
            deletion_scheduled_for=iso(erase_at_ms),
            message="The account is closed and its key has stopped working. What was earned stays in the books.",
        )

    async def _caller(self) -> Provider:
        return await self._plane.provider(caller_id())


def _compute_types(sent: Value) -> list[str] | None:
    """Return the kinds of work that were sent, all for an empty list, None when none were; raises for others."""
    listed = from_value(sent)
    if listed is None:
        return None
    if not isinstance(listed, list):
        raise errors.invalid_field("supported_compute_types", "must be an array")
    types = [item for item in listed if isinstance(item, str) and item in COMPUTE_TYPES]
    if len(types) != len(listed):
        raise errors.invalid_enum("supported_compute_types", COMPUTE_TYPES)
    return types or list(COMPUTE_TYPES)
