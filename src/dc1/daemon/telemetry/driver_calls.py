"""Single calls of the driver's library: a value that it does not have or cannot say costs that value only."""

from collections.abc import Callable
from typing import TypeVar

import pynvml

T = TypeVar("T")


def optional(call: Callable[[], T]) -> T | None:
    """Return what the call returns, None for a value this GPU or driver does not have. A lost GPU stays an error."""
    try:
        return call()
    except (pynvml.NVMLError_GpuIsLost, pynvml.NVMLError_Uninitialized):
        raise
    except Exception:
        # An error number that the binding does not know, a text that is no UTF-8: no reason to lose the card.
        return None


def bounded(call: Callable[[], int], most: int, least: int = 0) -> int | None:
    """Return as `optional` a number that can be; drivers answer -1 or all bits set for what they do not know."""
    number = optional(call)
    return number if number is not None and least <= number <= most else None
