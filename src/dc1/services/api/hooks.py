"""What a servicer adds to the checks of a request: decorators of its methods, which the server's pipeline reads."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

MessageHook: TypeAlias = Callable[[Any], None]
"""Takes a request message; changes it in place, or raises `ApiError`."""

M = TypeVar("M", bound=Callable[..., Any])
_ATTRIBUTE = "dc1_hooks"


@dataclass(frozen=True, slots=True)
class MethodHooks:
    """What one method adds; nothing unless its decorators say so."""

    normalise: MessageHook | None = None
    check_shape: MessageHook | None = None


_NONE = MethodHooks()


def normalised_by(normalise: MessageHook) -> Callable[[M], M]:
    """Have every request brought into one form before its field rules are checked.

    The Idempotency-Key tells requests apart by that form, so two ways to say one thing are one request.
    """
    return _adding(normalise=normalise)


def shape_checked_by(check_shape: MessageHook) -> Callable[[M], M]:
    """Have the shape of every request checked before its credential is looked up."""
    return _adding(check_shape=check_shape)


def hooks_of(method: Callable[..., Any]) -> MethodHooks:
    """Return what the decorators of a servicer's method say, bound or not."""
    hooks = getattr(method, _ATTRIBUTE, _NONE)
    assert isinstance(hooks, MethodHooks)
    return hooks


def _adding(**hooks: Any) -> Callable[[M], M]:
    def decorate(method: M) -> M:
        # On the function itself, where a bound method of whichever servicer finds it; a table by name would be a second
        # list of methods to keep.
        setattr(method, _ATTRIBUTE, replace(hooks_of(method), **hooks))
        return method

    return decorate
