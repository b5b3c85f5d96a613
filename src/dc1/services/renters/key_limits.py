"""What scoped keys are held to, as requests say it and answers show it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from google.protobuf.struct_pb2 import Value

from dc1.domain import errors
from dc1.domain.access.call_limits import CallLimits, KeyLimits
from dc1.domain.access.provider_choice import MOST_PROVIDERS, ProviderChoice, is_provider_ids
from dc1.domain.base.json_types import JsonValue
from dc1.services.api.values import from_value, to_value

MOST_PER_MINUTE = 1_000_000_000
MOST_MODELS = 100
_PROVIDERS = {"only_providers": "only", "ignore_providers": "ignore"}
_LONGEST_MODEL = 200
# Requests are messages of several types, whose stubs know no names that are not literals.
_NAMES = ("requests_per_minute", "tokens_per_minute", "streams")


def of_new_key(request: Any) -> KeyLimits:
    """Return what a key is to be held to from the beginning."""
    said = {name: getattr(request, name) for name in _NAMES if request.HasField(name)}
    models = [model.lower() for model in request.models]
    # A list without anybody is as good as none here, for a repeated field cannot tell the two apart.
    providers = ProviderChoice(frozenset(request.only_providers) or None, frozenset(request.ignore_providers))
    return KeyLimits(CallLimits(**said), models or None, providers)


def changed(request: Any, limits: KeyLimits) -> KeyLimits:
    """Return what a key is held to after a change.

    Raises:
        validation_failed: Something of it is no limit.
    """
    if faults := list(_faults(request)):
        raise errors.validation_failed(faults)
    said: Mapping[str, Any] = {name: from_value(getattr(request, name)) for name in _NAMES if request.HasField(name)}
    kept = {name: getattr(limits.calls, name) for name in _NAMES}
    models: Any = from_value(request.models) if request.HasField("models") else limits.models
    return KeyLimits(
        CallLimits(**{**kept, **said}),
        None if models is None else [str(model).lower() for model in models],
        replace(limits.providers, **_providers_changed(request)),
    )


def _providers_changed(request: Any) -> Mapping[str, Any]:
    sent: dict[str, Any] = {
        name: from_value(getattr(request, field)) for field, name in _PROVIDERS.items() if request.HasField(field)
    }
    nobody: Mapping[str, Any] = {"only": None, "ignore": frozenset()}
    return {name: nobody[name] if ids is None else frozenset(ids) for name, ids in sent.items()}


def says_limits(request: Any) -> bool:
    """Tell whether a change is of more than the budget."""
    return any(request.HasField(name) for name in (*_NAMES, "models", *_PROVIDERS))


def shown(limits: KeyLimits) -> dict[str, Value]:
    """Return what a key is held to, as fields of an answer."""
    calls = {name: to_value(getattr(limits.calls, name)) for name in _NAMES}
    only, ignore = limits.providers.only, limits.providers.ignore
    return calls | {
        "models": to_value(None if limits.models is None else list(limits.models)),
        "only_providers": to_value(None if only is None else [*sorted(only)]),
        "ignore_providers": to_value([*sorted(ignore)] or None),
    }


def _faults(request: Any) -> Iterator[errors.FieldViolation]:
    for name in _NAMES:
        if request.HasField(name) and not _is_limit(from_value(getattr(request, name))):
            yield errors.FieldViolation(name, f"must be null or an integer from 0 to {MOST_PER_MINUTE}")
    if request.HasField("models") and not _is_models(from_value(request.models)):
        yield errors.FieldViolation("models", f"must be null or 1 to {MOST_MODELS} names of models")
    for name in _PROVIDERS:
        if request.HasField(name) and not _is_providers(from_value(getattr(request, name))):
            yield errors.FieldViolation(name, f"must be null or 1 to {MOST_PROVIDERS} ids of providers")


def _is_limit(sent: JsonValue) -> bool:
    if sent is None:
        return True
    return isinstance(sent, int) and not isinstance(sent, bool) and 0 <= sent <= MOST_PER_MINUTE


def _is_models(sent: JsonValue) -> bool:
    if sent is None:
        return True
    # No models at all would be a key that may do nothing, which is what revoking it is for.
    if not isinstance(sent, list) or not 1 <= len(sent) <= MOST_MODELS:
        return False
    return all(isinstance(model, str) and 1 <= len(model) <= _LONGEST_MODEL for model in sent)


def _is_providers(sent: JsonValue) -> bool:
    return sent is None or is_provider_ids(sent)
