"""Kinds of machines: what placement looks at, apart from which machine it is."""

from typing import NamedTuple

from dc1.domain.jobs.placement import ProviderView


class Kind(NamedTuple):
    """Everything placement looks at but the rank: providers of one kind fit the same jobs."""

    slots: int
    occupied: int
    vram_mib: int | None
    gpu_type: str | None
    compute_types: frozenset[str]
    models: frozenset[str]
    job_types: frozenset[str] | None
    streaming: bool
    only_named: bool
    price_bps: int

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
            view.price_bps,
        )
