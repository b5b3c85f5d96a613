"""Which container gets which GPU."""

import contextlib
from collections.abc import Iterable, Iterator

from dc1.daemon.runners.base import RunFailed, Work
from dc1.daemon.runners.container_options import gpu_count
from dc1.domain.jobs import ErrorCategory


class GpuPool:
    """The GPUs containers may be given, each to one container at a time."""

    def __init__(self, uuids: Iterable[str]) -> None:
        self._free = list(uuids)

    @contextlib.contextmanager
    def lend(self, work: Work, *, offered: bool) -> Iterator[tuple[str, ...]]:
        """Set aside the GPUs a job is sold; none where there are none to have and it can do without. Raises RunFailed.

        `offered` says whether the container engine can hand out GPUs at all.
        """
        wanted = gpu_count(work)
        usable = offered and bool(self._free)
        if not usable and needs_gpu(work):
            raise RunFailed(ErrorCategory.EXECUTION, "the job needs a GPU and none can be given to it", transient=True)
        if usable and len(self._free) < wanted:
            text = f"the job needs {wanted} GPUs and {len(self._free)} are free"
            raise RunFailed(ErrorCategory.EXECUTION, text, transient=True)
        lent = tuple(self._free[:wanted]) if usable else ()
        del self._free[: len(lent)]
        try:
            yield lent
        finally:
            self._free.extend(lent)


def needs_gpu(work: Work) -> bool:
    """Whether the job cannot do without a GPU."""
    vram = work.container_spec.get("vram_required_mb")
    return bool(work.gpu_requirements) or gpu_count(work) > 1 or (isinstance(vram, int | float) and vram > 0)
