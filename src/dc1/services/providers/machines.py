"""The machines of an owner's account: added, listed, renamed, removed, and given new keys."""

from collections.abc import AsyncGenerator, Collection
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from dc1.control.control_plane import ControlPlane
from dc1.control.fleet.loading import provider_from_row
from dc1.control.fleet.provider import Provider
from dc1.control.operations.provider_accounts import OpenedProvider
from dc1.domain import errors
from dc1.domain.base.clock import iso
from dc1.domain.money.machine_prices import HUNDRED
from dc1.domain.money.shared_traits import network
from dc1.domain.providers.hardware import canonical_gpu_type, canonical_os, is_of_gpu_type
from dc1.domain.providers.liveness import Liveness, Pause
from dc1.services.api.call import caller_id, current_call
from dc1.services.api.live_stream import watch
from dc1.services.api.parts import Parts, ServicerPart
from dc1.services.api.provider_access import meant_machines, own_machine
from dc1.services.api.values import row_id, time_value, to_value
from dc1.services.providers.declared import declared
from dc1.services.providers.live_machines import MachineRows, Machines
from dc1.storage.providers import owners
from dc1.storage.providers.owners import NewMachine
from dcp.v1 import live_pb2
from dcp.v1 import provider_machines_pb2 as pb

_SHOWN, _MOST_SHOWN = 50, 256
_USUAL_OS = "linux"


class OwnedMachineCalls(ServicerPart):
    """Owners and their machines."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._idempotent = parts.idempotent
        self._rows = MachineRows(parts.plane)

    async def AddMachine(self, request: pb.AddMachineRequest, context: Any) -> pb.AddMachineResponse:
        """Put a machine into the caller's account."""
        new = NewMachine(
            name=request.name,
            os=canonical_os(request.os or _USUAL_OS),
            location=request.location or None,
            registered_from=network(current_call().address),
            **declared(request),
        )
        owner_id, key_id = caller_id(), current_call().principal.key_id

        def without_key(added: OpenedProvider) -> pb.AddMachineResponse:
            # Of the row and not of the fleet, which a transaction that may be undone must not look into.
            machine = _machine(self._plane, provider_from_row(added.account), 0)
            return pb.AddMachineResponse(success=True, provider_id=machine.id, machine=machine)

        def with_key(added: OpenedProvider) -> pb.AddMachineResponse:
            answer = without_key(added)
            answer.api_key = added.api_key
            return answer

        return await self._idempotent.run(
            pb.AddMachineResponse,
            lambda hook: self._plane.provider_accounts.add_machine(owner_id, new, key_id, hook),
            with_key,
            # The key is shown once and stored nowhere: who missed it gives the machine another one.
            kept=without_key,
        )

    async def ListMachines(self, request: pb.ListMachinesRequest, context: Any) -> pb.ListMachinesResponse:
        """List the caller's machines."""
        found = [item for item in await meant_machines(self._plane, None) if self._matches(item, request)]
        limit = min(request.limit or _SHOWN, _MOST_SHOWN)
        shown = found[request.offset :][:limit]
        return pb.ListMachinesResponse(machines=await machine_messages(self._plane, shown), total=len(found))

    def StreamMachines(self, request: live_pb2.StreamMachinesRequest, context: Any) -> AsyncGenerator[HttpBody, None]:
        """Stream the caller's machines as they change."""
        return watch(self._plane, Machines(self._rows, self._plane.fleet, caller_id()), once=request.once)

    def _matches(self, machine: Provider, wanted: pb.ListMachinesRequest) -> bool:
        status = machine.status(self._plane.clock.now_ms(), self._plane.fleet.thresholds)
        gpu_type = canonical_gpu_type(wanted.gpu_model)
        return (not wanted.status or wanted.status in (status, machine.approval)) and (
            gpu_type is None or is_of_gpu_type(machine.gpu_type, gpu_type)
        )

    async def UpdateMachine(self, request: pb.UpdateMachineRequest, context: Any) -> pb.UpdateMachineResponse:
        """Give one of the caller's machines another name."""
        machine = await own_machine(self._plane, row_id(request.machine_id, errors.machine_not_found))
        await self._plane.provider_accounts.rename(machine, request.name)
        (message,) = await machine_messages(self._plane, [machine])
        return pb.UpdateMachineResponse(success=True, machine=message)

    async def RemoveMachine(self, request: pb.RemoveMachineRequest, context: Any) -> pb.RemoveMachineResponse:
        """Take a machine out of the caller's account.

        Raises:
            first_machine_stays: It is the one that the account began with.
        """
        machine = await own_machine(self._plane, row_id(request.machine_id, errors.machine_not_found))
        if machine.owner_id is None:
            raise errors.first_machine_stays()
        closed = await self._plane.provider_accounts.close(machine)
        return pb.RemoveMachineResponse(
            success=True,
            requeued_jobs=closed.requeued_jobs,
            deletion_scheduled_for=iso(closed.erase_at_ms),
        )

    async def RotateMachineKey(self, request: pb.RotateMachineKeyRequest, context: Any) -> pb.RotateMachineKeyResponse:
        """Replace the key of one of the caller's machines; the old one has a grace."""
        machine = await own_machine(self._plane, row_id(request.machine_id, errors.machine_not_found))
        # The call's own key is held, not the machine's: who was replaced as the owner must replace no keys.
        rotated = await self._plane.provider_accounts.rotate_key(machine.id, current_call().principal.key_id)
        return pb.RotateMachineKeyResponse(
            success=True,
            machine_id=machine.id,
            api_key=rotated.api_key,
            old_key_expires_at=iso(rotated.old_until_ms),
        )


async def machine_messages(plane: ControlPlane, machines: Collection[Provider]) -> list[pb.Machine]:
    """Return machines of the caller's account as their owner sees them."""
    account_id = caller_id()
    earned = await plane.db.read(lambda conn: owners.earned_by_machine(conn, account_id))
    return [_machine(plane, machine, earned.get(machine.id, 0)) for machine in machines]


def _machine(plane: ControlPlane, machine: Provider, earned_halala: int) -> pb.Machine:
    now_ms = plane.clock.now_ms()
    return pb.Machine(
        id=machine.id,
        owner_id=machine.account_id,
        name=machine.name,
        status=machine.status(now_ms, plane.fleet.thresholds),
        approval_status=machine.approval,
        rejected_reason=to_value(machine.rejected_reason),
        gpu_model=machine.gpu_model,
        gpu_type=machine.gpu_name or "",
        gpu_vram_mib=machine.vram_mib or 0,
        gpu_count=machine.gpu_count,
        gpu_source=machine.gpu_source,
        location=to_value(machine.location),
        is_live=plane.fleet.presence.liveness(machine) is Liveness.ONLINE,
        is_paused=Pause.OWNER in machine.pauses,
        is_drained=Pause.ADMIN in machine.pauses,
        last_heartbeat=time_value(machine.presence.last_heartbeat_ms),
        daemon_version=to_value(machine.facts.daemon_version),
        reputation_score=machine.reputation(now_ms),
        total_jobs=machine.completed_jobs,
        total_earnings_halala=earned_halala,
        ask=machine.preferences.ask_pct / HUNDRED,
        created_at=iso(machine.created_at_ms),
    )
