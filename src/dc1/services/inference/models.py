"""What every list of models says of one."""

from typing import Any, TypedDict

from dc1.control.fleet.model_offers import ModelOffer
from dc1.control.scheduling.engine_speed import SpeedFigures
from dc1.services.api.values import to_value


class ModelFigures(TypedDict):
    """The fields that clients read of a model, wherever it is listed (contract 8)."""

    status: str
    providers_online: int
    vram_gb: int
    min_gpu_vram_gb: int
    avg_price_sar_per_min: float


def model_figures(offer: ModelOffer, rate_halala_per_minute: int) -> ModelFigures:
    """Return what is said of an offered model; the rate is what a minute of LLM inference costs."""
    return ModelFigures(
        status="available" if offer.online else "unavailable",
        providers_online=offer.online,
        vram_gb=offer.least_vram_gb,
        min_gpu_vram_gb=offer.least_vram_gb,
        avg_price_sar_per_min=offer.mean_sar_per_minute(rate_halala_per_minute),
    )


def speed_fields(figures: SpeedFigures) -> dict[str, Any]:
    """Return what every list shows of how fast calls are answered."""
    rate = figures.tokens_per_second
    return {
        "ttft_ms_p50": to_value(figures.ttft_ms),
        "tokens_per_second_p50": to_value(None if rate is None else round(rate, 1)),
    }
