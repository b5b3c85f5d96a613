"""Scopes of keys."""

import pytest

from dc1.domain.access.roles import Scope, allows, parse_scopes, require_scope
from dc1.domain.errors import ApiError


def test_scopes_are_listed_once_in_documented_order() -> None:
    assert parse_scopes(["billing", "inference", "billing"]) == (Scope.INFERENCE, Scope.BILLING)
    assert parse_scopes([]) == (Scope.INFERENCE,)


def test_an_unknown_scope_is_refused_with_the_list() -> None:
    with pytest.raises(ApiError, match=r"Allowed: inference, jobs\.read, billing, balance\.read, admin$"):
        parse_scopes(["inference", "root"])


def test_what_a_scope_allows() -> None:
    assert allows({"jobs.read"}, ["jobs.read", "inference"])
    assert not allows({"jobs.read"}, ["inference"])
    assert allows({"admin"}, ["billing"])
    assert allows(set(), [])


def test_a_missing_scope_is_named() -> None:
    require_scope({"inference"}, ["inference"])
    with pytest.raises(ApiError, match="API key lacks scope: inference"):
        require_scope({"jobs.read"}, ["inference"])
