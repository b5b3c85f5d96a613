"""What every list of models says of one."""

from collections.abc import Mapping
from typing import Any, TypedDict

from dc1.control.fleet.model_offers import ModelOffer
from dc1.control.scheduling.engine_speed import SpeedFigures
from dc1.domain.inference.kinds import CALL_KINDS
from dc1.domain.providers.model_abilities import EnginePath, Feature, ModelAbilities
from dc1.services.api.values import to_value

_GENERATION = ("max_tokens", "stop", "stream", "temperature", "top_p")
# The keys by which what a model can do is asked for, in the words of other markets.
_PARAMETERS: Mapping[str, tuple[str, ...]] = {
    EnginePath.CHAT: _GENERATION,
    EnginePath.COMPLETIONS: _GENERATION,
    EnginePath.EMBEDDINGS: ("encoding_format",),
    EnginePath.RERANK: ("top_n",),
    EnginePath.IMAGES: ("n", "size"),
    EnginePath.SPEECH: ("response_format", "speed", "voice"),
    EnginePath.TRANSCRIPTIONS: ("language", "prompt", "response_format"),
    EnginePath.TRANSLATIONS: ("prompt", "response_format"),
    Feature.TOOLS: ("tool_choice", "tools"),
    Feature.STRUCTURED_OUTPUTS: ("response_format", "structured_outputs"),
    Feature.REASONING: ("reasoning",),
    Feature.INFILL: ("suffix",),
}


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


def capabilities_of(abilities: ModelAbilities) -> list[str]:
    """Return what a model can be asked for, as lists of models say it: the paths that callers can use, and the rest."""
    paths = [EnginePath(path).name.lower() for path in abilities.paths if path in CALL_KINDS]
    vision = ["vision"] if "image" in abilities.input_modalities else []
    known = [feature for feature in abilities.features if feature in set(Feature)]
    return sorted([*paths, *vision, *known])


def parameters_of(abilities: ModelAbilities) -> list[str]:
    """Return the keys of a call that a model knows, as far as the market does."""
    told = (name for word in (*abilities.paths, *abilities.features) for name in _PARAMETERS.get(word, ()))
    return sorted(set(told))
