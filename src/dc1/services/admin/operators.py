"""Who operates the market: people and tools, each with a token of their own."""

from collections.abc import Sequence
from typing import Any

from dc1.domain.access import keys
from dc1.domain.access.keys import KeyRole
from dc1.domain.access.operators import OperatorRole, patterns_of_nothing
from dc1.domain.base.clock import DAY_MS, iso
from dc1.domain.errors import invalid_field, operator_not_found
from dc1.services.admin.admin_methods import admin_methods
from dc1.services.api.call import current_call
from dc1.services.api.paging import Pages
from dc1.services.api.parts import ServicerPart
from dc1.services.api.values import row_id, time_value, to_value
from dc1.storage.admin.operators import NewOperator, OperatorRow
from dcp.v1 import operator_pb2 as pb


class OperatorCalls(ServicerPart):
    """Operators."""

    async def ListOperators(self, request: pb.ListOperatorsRequest, context: Any) -> pb.ListOperatorsResponse:
        """List everybody, newest first."""
        pages = Pages.asked(request)
        found = await self._plane.credentials.operators.page(limit=pages.limit, offset=pages.offset)
        return pb.ListOperatorsResponse(
            operators=[_message(row) for row in found.rows], pagination=pages.of(found.total)
        )

    async def GetOwnOperator(self, request: pb.GetOwnOperatorRequest, context: Any) -> pb.GetOwnOperatorResponse:
        """Say who calls and what they may."""
        operator = current_call().principal.operator
        may_call = [
            pb.OperatorMethod(method=name, route=method.route)
            for name, method in admin_methods().items()
            if operator is None or operator.may_call(name, method.least, method.any_token)
        ]
        if operator is None:
            return pb.GetOwnOperatorResponse(operator=_admin_token(), may_call=may_call)
        own = await self._plane.credentials.operators.get(operator.id)
        return pb.GetOwnOperatorResponse(operator=_message(own), may_call=may_call)

    async def AddOperator(self, request: pb.AddOperatorRequest, context: Any) -> pb.AddOperatorResponse:
        """Make an operator."""
        role = OperatorRole(request.role)
        new = NewOperator(
            name=request.name,
            role=role,
            methods=_checked(request.methods, role),
            created_by=current_call().principal.actor,
            expires_at_ms=self._end(request),
        )
        row, token = await self._plane.credentials.operators.add(new, current_call().principal.operator)
        return pb.AddOperatorResponse(operator=_message(row), token=token)

    async def RotateOperatorToken(
        self, request: pb.RotateOperatorTokenRequest, context: Any
    ) -> pb.RotateOperatorTokenResponse:
        """Replace a token."""
        operator_id = row_id(request.operator_id, operator_not_found)
        caller = current_call().principal.operator
        row, token = await self._plane.credentials.operators.rotate(operator_id, self._end(request), caller)
        return pb.RotateOperatorTokenResponse(operator=_message(row), token=token)

    async def RevokeOperator(self, request: pb.RevokeOperatorRequest, context: Any) -> pb.RevokeOperatorResponse:
        """Revoke a token."""
        operator_id = row_id(request.operator_id, operator_not_found)
        row = await self._plane.credentials.operators.revoke(operator_id, current_call().principal.operator)
        return pb.RevokeOperatorResponse(operator=_message(row))

    def _end(self, request: pb.AddOperatorRequest | pb.RotateOperatorTokenRequest) -> int | None:
        if not request.HasField("expires_in_days"):
            return None
        return self._plane.clock.now_ms() + request.expires_in_days * DAY_MS


def _checked(patterns: Sequence[str], role: OperatorRole) -> list[str] | None:
    """Return the methods that a token is to be for, None for all of the role.

    Raises:
        invalid_field: One of them stands for nothing that the role may call.
    """
    methods = {name: method.least for name, method in admin_methods().items()}
    if wrong := patterns_of_nothing(patterns, role, methods):
        raise invalid_field("methods", f"names nothing that the role {role} may call: {wrong[0][:80]}")
    return sorted(set(patterns)) or None


def _admin_token() -> pb.Operator:
    return pb.Operator(
        id=to_value(None),
        name=to_value(None),
        role=OperatorRole.ADMIN,
        token_hint=to_value(None),
        created_at=time_value(None),
        created_by=to_value(None),
        expires_at=time_value(None),
        last_used_at=time_value(None),
        revoked_at=time_value(None),
    )


def _message(row: OperatorRow) -> pb.Operator:
    return pb.Operator(
        id=to_value(row.id),
        name=to_value(row.name),
        role=row.role,
        methods=row.methods,
        token_hint=to_value(keys.hint(KeyRole.OPERATOR, row.key_id)),
        created_at=to_value(iso(row.created_at_ms)),
        created_by=to_value(row.created_by),
        expires_at=time_value(row.expires_at_ms),
        last_used_at=time_value(row.last_used_at_ms),
        revoked_at=time_value(row.revoked_at_ms),
    )
