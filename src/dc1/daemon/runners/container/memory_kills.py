"""Whether the kernel killed something for want of memory, where an engine does not say it."""

from collections import deque
from pathlib import Path

_COUNTS = Path("/proc/vmstat")
_COUNT = "oom_kill "
_LOOKS = 10
"""With a look a second: a kill that is older has ended no run that ends now."""


class MemoryKills:
    """The kernel's count of such kills on this machine, over the last seconds.

    It counts those in containers too. Podman asks the cgroup of the container, and on version 1 misses the answer.
    """

    def __init__(self) -> None:
        self._counts = deque([_count()], maxlen=_LOOKS)

    def look(self) -> None:
        """Note the count; call it once a second."""
        self._counts.append(_count())

    def happened(self) -> bool:
        """Tell whether there was one lately; False where the kernel does not count them."""
        return _count() > self._counts[0]


def _count() -> int:
    try:
        lines = _COUNTS.read_text(encoding="ascii").splitlines()
        return next((int(line.removeprefix(_COUNT)) for line in lines if line.startswith(_COUNT)), 0)
    except (OSError, ValueError):
        return 0
