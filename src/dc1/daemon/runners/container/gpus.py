"""Which container gets which GPU."""

import contextlib
from collections.abc import Iterable, Iterator

from dc1.daemon.runners.base import RunFailed, Work
from dc1.daemon.runners.container.options import gpu_count
from dc1.domain.jobs.states import ErrorCategory


class GpuPool:
    """The GPUs containers may be given, each to one container at a time."""

    def __init__(self, uuids: Iterable[str]) -> None:
        self.present = tuple(uuids)
        """UUIDs of the GPUs in use here, lent or not; replaced when a card is lost or comes back."""
        self._lent: set[str] = set()

    @contextlib.contextmanager
    def lend(self, work: Work, *, offered: bool) -> Iterator[tuple[str, ...]]:
        """Set aside the GPUs a job is sold; none where there are none to have and it can do without.

        `offered` says whether the container engine can hand out GPUs at all.

        Yields:
            The UUIDs of the GPUs.

        Raises:
            RunFailed: there are too few, which may be otherwise elsewhere or later.
        """
        if refusal := self.refusal(work, offered=offered):
            raise RunFailed(ErrorCategory.DRIVER, refusal, transient=True)
        wanted = gpu_count(work) if offered and self.present else 0
        free = [uuid for uuid in self.present if uuid not in self._lent]
        if len(free) < wanted:
            text = f"the job needs {wanted} GPUs and {len(free)} are free"
            raise RunFailed(ErrorCategory.DRIVER, text, transient=True)
        # Nothing is awaited between the look and the taking, so two jobs of one event loop cannot get the same card.
        lent = tuple(free[:wanted])
        self._lent.update(lent)
        try:
            yield lent
        finally:
            self._lent.difference_update(lent)

    def refusal(self, work: Work, *, offered: bool) -> str | None:
        """Return why a job can have no GPU here; None when it can, or does without."""
        usable = offered and bool(self.present)
        return None if usable or not _needs_gpu(work) else "the job needs a GPU and none can be given to it"


def _needs_gpu(work: Work) -> bool:
    """Whether the job cannot do without a GPU."""
    vram = work.container_spec.get("vram_required_mb")
    # One GPU is what every job is sold, so it says nothing; more than one was asked for.
    return bool(work.gpu_requirements) or gpu_count(work) > 1 or (isinstance(vram, int | float) and vram > 0)
