"""Provider accounts that a caller may act for."""

from dc1.control.control_plane import ControlPlane
from dc1.control.fleet.provider import Provider
from dc1.domain import errors
from dc1.domain.access.roles import Role
from dc1.domain.providers.liveness import Approval
from dc1.services.api.call import caller_id, current_call
from dc1.services.api.values import row_id

_CALLER = "me"


async def calling_provider(plane: ControlPlane) -> Provider:
    """Return the provider whose key the call carries."""
    return await plane.provider(caller_id())


async def own_provider(plane: ControlPlane, sent: str) -> Provider:
    """Return the provider that a path names, by its id or as `me`.

    One that is not there is `Provider not found`.

    Raises:
        forbidden: The account is not the caller's, who is no admin.
    """
    principal = current_call().principal
    is_provider = principal.role is Role.PROVIDER and principal.account_id is not None
    if sent == _CALLER and is_provider:
        return await plane.provider(principal.account_id or 0)
    # 404 before 403, as on every route: that there is such an account is no secret, the public lists show it.
    provider = await plane.provider(row_id(sent, errors.provider_not_found))
    # An owner may do for a machine what its daemon may.
    if is_provider and principal.account_id not in (provider.id, provider.account_id):
        raise errors.forbidden()
    return provider


async def own_machine(plane: ControlPlane, machine_id: int) -> Provider:
    """Return a machine of the caller's account.

    Raises:
        machine_not_found: The account has none with this id.
    """
    if plane.fleet.get(machine_id) is None:
        await plane.catch_up()
    machine = plane.fleet.get(machine_id)
    # Somebody else's is not found either: whose it is, is nothing that a path may ask.
    if machine is None or machine.deleted or machine.account_id != caller_id():
        raise errors.machine_not_found()
    return machine


async def meant_machines(plane: ControlPlane, machine_id: int | None) -> list[Provider]:
    """Return the one machine of the caller's account that is named, or all of them."""
    if machine_id is not None:
        return [await own_machine(plane, machine_id)]
    # Another replica may have added one just now.
    await plane.catch_up()
    return plane.fleet.machines(caller_id())


async def require_approved(plane: ControlPlane, provider: Provider) -> None:
    """Refuse a provider that is pending or rejected, never on old news.

    Raises:
        provider_not_approved: An admin has not let the provider in.
    """
    if provider.approval is not Approval.APPROVED:
        # Another replica may have approved the provider a moment ago. What was taken away arrives by itself and needs
        # no look.
        await plane.catch_up()
    if provider.approval is not Approval.APPROVED:
        raise errors.provider_not_approved()
