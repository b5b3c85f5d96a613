"""Preferences, hardware profile, key, a copy of everything, and the end of an account."""

from typing import Any

from google.protobuf.struct_pb2 import Value

from dc1.domain import errors
from dc1.domain.base.clock import iso
from dc1.domain.jobs.states import COMPUTE_TYPES
from dc1.domain.money.machine_prices import HUNDRED, hundredths
from dc1.services.api.call import caller_id, current_call
from dc1.services.api.parts import ServicerPart
from dc1.services.api.provider_access import calling_provider, meant_machines, own_machine
from dc1.services.api.values import from_value
from dc1.services.providers.earnings import earnings_day, withdrawal_message
from dc1.services.providers.machines import machine_messages
from dc1.services.providers.messages import Income, preferences_message, provider_job, provider_message
from dc1.storage.engine.database import Connection
from dc1.storage.jobs import jobs
from dc1.storage.jobs.jobs import JobFilter
from dc1.storage.money import withdrawals
from dc1.storage.providers import providers
from dcp.v1 import provider_pb2
from dcp.v1 import provider_service_pb2 as pb

_CONFIRMATION = "DELETE_MY_ACCOUNT"
# Of a copy of an account, which has to be an answer that the edge can carry.
_MOST_ROWS = 10_000
_NO_PREFERENCES = ("key", "machine_id")


class ProviderAccountCalls(ServicerPart):
    """Providers looking after their account."""

    async def UpdatePreferences(
        self, request: pb.UpdatePreferencesRequest, context: Any
    ) -> pb.UpdatePreferencesResponse:
        """Change when and how far the machine may be used."""
        provider = await calling_provider(self._plane)
        # Only what was sent: an absent preference stays as it is. A key in the body says who calls and is no
        # preference, nor is whose they are.
        changes = {field.name: value for field, value in request.ListFields() if field.name not in _NO_PREFERENCES}
        if "ask" in changes:
            changes["ask_pct"] = self._ask_pct(changes.pop("ask"))
        named = request.machine_id if request.HasField("machine_id") else None
        machines = await meant_machines(self._plane, named)
        for machine in machines:
            await self._plane.provider_accounts.set_preferences(machine, changes)
        shown = provider if provider in machines else machines[0]
        return pb.UpdatePreferencesResponse(success=True, preferences=preferences_message(shown.preferences))

    def _ask_pct(self, ask: float) -> int:
        bounds, asked = self._plane.config.ask_bounds, hundredths(ask)
        if asked is None or not bounds.holds(asked):
            least, most = bounds.least_pct / HUNDRED, bounds.most_pct / HUNDRED
            raise errors.invalid_field("ask", f"must be between {least:.2f} and {most:.2f}, with at most two decimals")
        return asked

    async def UpdateGpuProfile(self, request: pb.UpdateGpuProfileRequest, context: Any) -> pb.UpdateGpuProfileResponse:
        """Change what the account says of the GPU, as long as no daemon has."""
        provider = await calling_provider(self._plane)
        if request.HasField("machine_id"):
            provider = await own_machine(self._plane, request.machine_id)
        await self._plane.provider_accounts.set_gpu_profile(
            provider,
            gpu_model=request.gpu_model if request.HasField("gpu_model") else None,
            vram_mib=request.vram_mb if request.HasField("vram_mb") else None,
            gpu_count=request.gpu_count if request.HasField("gpu_count") else None,
            compute_types=_compute_types(request.supported_compute_types),
        )
        profile = provider_pb2.GpuProfile(
            gpu_model=provider.gpu_model,
            vram_mb=provider.vram_mib or 0,
            gpu_count=provider.gpu_count,
            gpu_source=provider.gpu_source,
            supported_compute_types=provider.listed_compute_types,
        )
        return pb.UpdateGpuProfileResponse(success=True, profile=profile)

    async def RotateProviderKey(
        self, request: pb.RotateProviderKeyRequest, context: Any
    ) -> pb.RotateProviderKeyResponse:
        """Replace the caller's key; the old one has a grace."""
        provider_id = caller_id()
        rotated = await self._plane.provider_accounts.rotate_key(provider_id, current_call().principal.key_id)
        until = iso(rotated.old_until_ms)
        return pb.RotateProviderKeyResponse(
            success=True,
            message=f"Store this API key now, it is not shown again. The old one works until {until}.",
            api_key=rotated.api_key,
            # The same key under both names: clients read one or the other.
            new_key=rotated.api_key,
            provider_id=provider_id,
            old_key_expires_at=until,
        )

    async def ExportProvider(self, request: pb.ExportProviderRequest, context: Any) -> pb.ExportProviderResponse:
        """Hand the caller everything that is kept of the account."""
        provider = await calling_provider(self._plane)
        now_ms = self._plane.clock.now_ms()

        income, answer = await self._plane.db.read_history(lambda conn: _export(conn, provider.id, now_ms))
        answer.machines.extend(await machine_messages(self._plane, await meant_machines(self._plane, None)))
        # The account as memory knows it, which is ahead of the rows: what daemons report is stored in batches.
        answer.account.CopyFrom(provider_message(self._plane, provider, income))
        return answer

    async def DeleteProvider(self, request: pb.DeleteProviderRequest, context: Any) -> pb.DeleteProviderResponse:
        """Close the caller's account.

        Raises:
            deletion_not_confirmed: The sentence that confirms it is missing.
        """
        if request.confirm != _CONFIRMATION:
            raise errors.deletion_not_confirmed()
        provider = await calling_provider(self._plane)
        closed = await self._plane.provider_accounts.close(provider)
        return pb.DeleteProviderResponse(
            success=True,
            requeued_jobs=closed.requeued_jobs,
            deletion_scheduled_for=iso(closed.erase_at_ms),
            message="The account is closed and its key has stopped working. What was earned stays in the books.",
        )


def _export(conn: Connection, provider_id: int, now_ms: int) -> tuple[Income, pb.ExportProviderResponse]:
    """Return what the database keeps of an account, all of it as of one moment."""
    found = jobs.latest(conn, JobFilter(account_id=provider_id), limit=_MOST_ROWS)
    asked = withdrawals.page(conn, limit=_MOST_ROWS, provider_id=provider_id)
    return Income.read(conn, provider_id, now_ms), pb.ExportProviderResponse(
        exported_at=iso(now_ms),
        jobs=[provider_job(job) for job in found],
        earnings=[earnings_day(day) for day in providers.earnings_by_day(conn, provider_id, 0)],
        withdrawals=[withdrawal_message(row) for row in asked.rows],
    )


def _compute_types(sent: Value) -> list[str] | None:
    """Return the kinds of work that were sent, all for an empty list, None when nothing was sent.

    Raises:
        invalid_field: It is no list.
        invalid_enum: There is no such kind of work.
    """
    listed = from_value(sent)
    if listed is None:
        return None
    if not isinstance(listed, list):
        raise errors.invalid_field("supported_compute_types", "must be an array")
    types = [item for item in listed if isinstance(item, str) and item in COMPUTE_TYPES]
    if len(types) != len(listed):
        raise errors.invalid_enum("supported_compute_types", COMPUTE_TYPES)
    return types or list(COMPUTE_TYPES)
