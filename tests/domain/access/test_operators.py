from contextlib import nullcontext

import pytest

from dc1.domain.access.operators import Operator, OperatorRole, is_named_by, patterns_of_nothing
from dc1.domain.errors import ApiError

METHODS = {"AdminService/GetOverview": OperatorRole.VIEWER, "AdminFinanceService/SetPrice": OperatorRole.FINANCE}


def operator(role: OperatorRole, *methods: str) -> Operator:
    return Operator(3, "sara", role, methods or None, "Kv3aB9xQ")


def test_support_and_finance_stand_beside_each_other() -> None:
    included = {role: {each for each in OperatorRole if role.includes(each)} for role in OperatorRole}
    assert included == {
        OperatorRole.VIEWER: {OperatorRole.VIEWER},
        OperatorRole.SUPPORT: {OperatorRole.VIEWER, OperatorRole.SUPPORT},
        OperatorRole.FINANCE: {OperatorRole.VIEWER, OperatorRole.FINANCE},
        OperatorRole.ADMIN: set(OperatorRole),
    }


@pytest.mark.parametrize(
    ("who", "said"),
    [
        (operator(OperatorRole.VIEWER), "Operator lacks role: finance"),
        (operator(OperatorRole.ADMIN, "AdminService/*"), "Operator token is not for: AdminFinanceService/SetPrice"),
        (operator(OperatorRole.FINANCE, "AdminFinanceService/*"), None),
        (operator(OperatorRole.ADMIN), None),
    ],
)
def test_what_an_operator_lacks_is_said(who: Operator, said: str | None) -> None:
    method, least = "AdminFinanceService/SetPrice", OperatorRole.FINANCE
    assert who.may_call(method, least) == (said is None)
    with pytest.raises(ApiError) if said else nullcontext() as caught:
        who.require(method, least)
    assert caught is None or (caught.value.status, caught.value.message) == (403, said)


def test_what_any_token_is_good_for_asks_for_the_role_alone() -> None:
    tool = operator(OperatorRole.VIEWER, "AdminJobService/ExportAllJobs")
    tool.require("AdminService/GetOwnOperator", OperatorRole.VIEWER, any_token=True)
    assert tool.may_call("AdminService/GetOwnOperator", OperatorRole.VIEWER, any_token=True)
    assert not tool.may_call("AdminService/GetOwnOperator", OperatorRole.FINANCE, any_token=True)


def test_a_pattern_stands_for_a_method_or_a_service() -> None:
    assert is_named_by("AdminService/GetOverview", "AdminService/*")
    assert not is_named_by("AdminServiceX/GetOverview", "AdminService/*")
    for pattern in ("*", "*/*", "AdminService", "AdminService/", "AdminService/Get*", ""):
        assert not is_named_by("AdminService/GetOverview", pattern)


def test_a_pattern_that_the_role_has_no_use_for_is_found() -> None:
    wanted = ["AdminService/*", "AdminFinanceService/SetPrice", "JobService/SubmitJob"]
    assert patterns_of_nothing(wanted, OperatorRole.VIEWER, METHODS) == wanted[1:]
    assert patterns_of_nothing(wanted, OperatorRole.ADMIN, METHODS) == wanted[2:]
