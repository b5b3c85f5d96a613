"""Reading numbers out of a job's free-form params."""

import math
from collections.abc import Mapping

from dc1.daemon.runners.base import RunFailed
from dc1.domain.base.json_types import JsonValue
from dc1.domain.jobs.states import ErrorCategory


def number(params: Mapping[str, JsonValue], key: str, default: float, low: float, high: float) -> float:
    """Return a number, also one written as a string; `default` when absent. Raises RunFailed outside low..high."""
    value = params.get(key)
    if value is None:
        return default
    try:
        parsed = math.nan if isinstance(value, bool | list | dict) else float(value)
    except ValueError:
        parsed = math.nan
    if not low <= parsed <= high:
        raise RunFailed(ErrorCategory.EXECUTION, f"params.{key} must be a number from {low:g} to {high:g}")
    return parsed
