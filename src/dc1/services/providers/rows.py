"""A provider as the public lists show it."""

from typing import Any

from dc1.control.control_plane import ControlPlane
from dc1.control.fleet.provider import Provider
from dc1.domain.jobs.placement import vram_gb
from dc1.domain.money.pricing import halala_to_sar
from dc1.domain.providers.liveness import ProviderStatus

# Lists have room for one price of a machine. GPU and provider never change a price, so it is that of inference.
_PRICED_JOB_TYPE = "llm_inference"


def provider_row(plane: ControlPlane, provider: Provider) -> dict[str, Any]:
    """Return the fields that every public list of providers has."""
    now_ms = plane.clock.now_ms()
    facts = provider.facts
    status = provider.status(now_ms, plane.fleet.thresholds)
    return {
        "id": provider.id,
        "name": provider.name,
        "gpu_model": provider.gpu_model,
        "vram_gb": vram_gb(facts.vram_mib or 0),
        "vram_mib": facts.vram_mib or 0,
        "gpu_count": provider.slots,
        "driver_version": facts.driver_version or "",
        "compute_capability": facts.compute_capability or "",
        "cuda_version": facts.cuda_version or "",
        "status": status,
        "is_live": status is ProviderStatus.ONLINE,
        "location": provider.location or "",
        "reliability_score": provider.reputation(now_ms),
        "cached_models": provider.models,
        "price_per_hour_sar": halala_to_sar(plane.catalog.rate(_PRICED_JOB_TYPE) * 60),
    }
