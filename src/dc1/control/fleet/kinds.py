"""Kinds of machines: what placement looks at, apart from which machine it is and what it costs."""

from typing import NamedTuple

from dc1.domain.jobs.placement import ProviderView


class Kind(NamedTuple):
    """Everything placement looks at but rank and price: providers of one kind fit the same jobs, if those pay for it.

    Owners choose what they ask, so that there are as many prices as owners: a job is matched against each kind once.
    """

    slots: int
    occupied: int
    vram_mib: int | None
    gpu_type: str | None
    compute_types: frozenset[str]
    models: frozenset[str]
    job_types: frozenset[str] | None
    streaming: bool
    only_named: bool

    @classmethod
    def of(cls, view: ProviderView) -> "Kind":
        """Return the kind of a provider."""
        return cls(
            view.slots,
            view.occupied,
            view.vram_mib,
            view.gpu_type,
            view.compute_types,
            view.models,
            view.job_types,
            view.streaming,
            view.only_named,
        )
