"""Operators, people and tools that run the market: what each role may do, and the methods that a token is for."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from dc1.domain.errors import method_not_granted, role_missing

_EVERY_METHOD = "*"


class OperatorRole(StrEnum):
    """What an operator may do, in documented order."""

    VIEWER = "viewer"
    SUPPORT = "support"
    FINANCE = "finance"
    ADMIN = "admin"

    def includes(self, least: "OperatorRole") -> bool:
        """Tell whether who has this role may do what asks for `least`."""
        # Support and finance stand beside each other: who helps renters moves no money, and the other way round.
        return least in _INCLUDED.get(self, ())


# Nothing for a role that only a newer server on the same database knows.
_INCLUDED: Mapping[OperatorRole, Collection[OperatorRole]] = {
    OperatorRole.VIEWER: (OperatorRole.VIEWER,),
    OperatorRole.SUPPORT: (OperatorRole.VIEWER, OperatorRole.SUPPORT),
    OperatorRole.FINANCE: (OperatorRole.VIEWER, OperatorRole.FINANCE),
    OperatorRole.ADMIN: tuple(OperatorRole),
}


@dataclass(frozen=True, slots=True)
class Operator:
    """Who calls with an operator's token.

    `methods` are patterns `Service/Method` or `Service/*`, and None for all that the role may call; `key_id` is the
    public part of the token.
    """

    id: int
    name: str
    role: OperatorRole
    methods: Sequence[str] | None
    key_id: str

    @property
    def actor(self) -> str:
        """What the audit trail calls them: a name may be given again, the number never is."""
        return f"{self.name} #{self.id}"

    def require(self, method: str, least: OperatorRole, any_token: bool = False) -> None:
        """Let the operator call a method that asks for a role, and may be one for `any_token`.

        Raises:
            role_missing: The operator's role is less; the 403 names the least that may.
            method_not_granted: The token is for other methods.
        """
        if not self.role.includes(least):
            raise role_missing(least)
        if not any_token and not self._names(method):
            raise method_not_granted(method)

    def may_call(self, method: str, least: OperatorRole, any_token: bool = False) -> bool:
        """Tell whether `require` lets the operator call a method."""
        return self.role.includes(least) and (any_token or self._names(method))

    def _names(self, method: str) -> bool:
        return self.methods is None or any(is_named_by(method, pattern) for pattern in self.methods)


def is_named_by(method: str, pattern: str) -> bool:
    """Tell whether a pattern stands for a method."""
    service, _, name = pattern.partition("/")
    return pattern == method or (name == _EVERY_METHOD and method.startswith(f"{service}/"))


def patterns_of_nothing(
    patterns: Collection[str], role: OperatorRole, methods: Mapping[str, OperatorRole]
) -> Sequence[str]:
    """Return the patterns that stand for no method which the role may call, of all `methods` with their least role."""
    callable_ones = [method for method, least in methods.items() if role.includes(least)]
    return [pattern for pattern in patterns if not any(is_named_by(method, pattern) for method in callable_ones)]
