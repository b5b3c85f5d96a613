"""A heartbeat's report, read leniently: what cannot be right becomes null, and nothing of it fails the beat."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import NamedTuple

from dc1.domain.base.json_types import MAX_EXACT_INTEGER, JsonObject, JsonValue, is_oversized
from dc1.domain.base.numeric import as_found, as_integer, plain
from dc1.domain.errors import gpu_info_not_object, gpu_status_not_object, invalid_field
from dc1.domain.gpus.card_health import cards, offered_cards

MAX_GPUS_LISTED = 32
MAX_MODELS = 500
MAX_MODEL_NAME = 200
_MAX_RESTARTS = 1_000_000


class _Range(NamedTuple):
    low: int
    high: int
    whole: bool = False


_MIB = _Range(0, 1_048_576)
_ERRORS = _Range(0, MAX_EXACT_INTEGER, whole=True)
_GPU_METRICS = {
    "gpu_vram_mib": _MIB,
    "vram_mb": _MIB,
    "free_vram_mib": _MIB,
    "gpu_util_pct": _Range(0, 100),
    "temp_c": _Range(-40, 150),
    "power_w": _Range(0, 2000),
    "gpu_count": _Range(1, 64, whole=True),
    "sm_clock_mhz": _Range(0, 10_000),
    "sm_clock_max_mhz": _Range(0, 10_000),
    "power_limit_w": _Range(0, 5_000),
    "power_limit_default_w": _Range(0, 5_000),
    "ecc_corrected": _ERRORS,
    "ecc_uncorrected": _ERRORS,
    "ecc_corrected_total": _ERRORS,
    "ecc_uncorrected_total": _ERRORS,
    "ecc_uncorrected_new": _ERRORS,
}
_FREE_JSON = ("gpu_status", "gpu_info", "gpu_spec", "resource_spec", "model_cache")
_CACHE_METRICS = {
    "used_mb": _Range(0, MAX_EXACT_INTEGER),
    "total_mb": _Range(0, MAX_EXACT_INTEGER),
    "used_pct": _Range(0, 100),
}
# The keys under which descriptions of machines have the same facts, the first that is there counts.
_SPEC_NAMES = ("gpu_name", "gpu_model", "name", "model")
_SPEC_VRAM = ("vram_mib", "gpu_vram_mib", "vram_mb")
_SPEC_TEXTS = ("driver_version", "cuda_version", "compute_capability")
_GIB = _Range(0, 1024)
_TEXT_LIMITS = {
    "gpu_name": 200,
    "os_info": 200,
    "driver_version": 80,
    "cuda_version": 40,
    "compute_capability": 20,
    "daemon_version": 32,
    "python_version": 32,
}


class EventSeverity(StrEnum):
    """How bad an event of a daemon is, the least first."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a report says of the machine; None where it says nothing."""

    gpu_name: str | None = None
    vram_mib: int | None = None
    gpu_count: int | None = None
    driver_version: str | None = None
    cuda_version: str | None = None
    compute_capability: str | None = None
    daemon_version: str | None = None
    os_info: str | None = None
    python_version: str | None = None

    @property
    def hardware(self) -> tuple[str | None, int | None, int | None]:
        """What a machine is told by: model, VRAM and number of its GPUs."""
        return self.gpu_name, self.vram_mib, self.gpu_count

    @property
    def has_gpu(self) -> bool:
        """Whether they are those of a machine with a GPU, be its model known or not."""
        # A beat asks thirty times, in one way or another.
        return bool(self.gpu_name or self.vram_mib or self.gpu_count)

    def updated(self, newer: "Facts") -> "Facts":
        """Return these facts with those that `newer` knows."""
        # Nearly every beat says what the one before it said.
        if newer == self:
            return self
        known = {item.name: getattr(newer, item.name) for item in fields(newer)}
        return replace(self, **{name: value for name, value in known.items() if value is not None})


@dataclass(frozen=True, slots=True)
class Report:
    """One heartbeat; a field that is None leaves the stored value unchanged."""

    facts: Facts = Facts()
    gpu_status: JsonObject | None = None
    cached_models: tuple[str, ...] | None = None
    vllm_models: tuple[str, ...] | None = None
    resource_spec: JsonValue = None
    model_cache: JsonObject | None = None
    container_restart_count: int | None = None
    provider_ip: str | None = None
    provider_hostname: str | None = None
    job_types: frozenset[str] | None = None

    @property
    def tells_of_gpu(self) -> bool:
        """Whether it says which GPU the machine has, or that it has none."""
        return self.facts.has_gpu or metric_of(self.gpu_status, "gpus_present") == 0


def without_claims(facts: Facts) -> Facts:
    """Return facts without what an owner can have claimed, for a daemon knows better."""
    return replace(facts, vram_mib=None, gpu_count=None)


def read_report(body: Mapping[str, JsonValue], *, is_small: bool = False) -> Report:
    """Read the parsed JSON of a heartbeat, of one that `is_small` without asking whether it is larger than may be kept.

    A `gpu_status` that is neither object nor string and a `gpu_info` that is no object are refused as well.

    Raises:
        invalid_field: free JSON in the report is larger than may be kept.
    """
    gpu_status = _gpu_status(body.get("gpu_status"))
    gpu_info = _gpu_info(body.get("gpu_info"))
    gpu_spec = body.get("gpu_spec")
    model_cache = body.get("model_cache")
    resource_spec = body.get("resource_spec")
    for name in () if is_small else _FREE_JSON:
        if (sent := body.get(name)) is not None and is_oversized(sent):
            raise invalid_field(name, "must be at most 256 KiB of JSON")
    facts = _facts(gpu_status or {}, gpu_info)
    if (gpu_spec or resource_spec) and metric_of(gpu_status, "gpus_present") != 0:
        # A description may outlive the card that it describes; what was looked at now has the last word.
        facts = specified(gpu_spec, resource_spec).updated(facts)
    return Report(
        facts=facts,
        gpu_status=gpu_status,
        cached_models=_model_names(body.get("cached_models")),
        vllm_models=_model_names(body.get("vllm_models")),
        resource_spec=resource_spec if isinstance(resource_spec, dict | str) else None,
        model_cache=_cleaned(model_cache, _CACHE_METRICS) if isinstance(model_cache, dict) else None,
        container_restart_count=_count(body.get("container_restart_count"), _MAX_RESTARTS),
        provider_ip=_short_text(body.get("provider_ip"), 64),
        provider_hostname=_short_text(body.get("provider_hostname"), 255),
        job_types=_job_types(body.get("job_types")),
    )


def specified(gpu_spec: JsonValue, resource_spec: JsonValue) -> Facts:
    """Return what descriptions of a machine say of its GPU; whatever is none says nothing."""
    spec = gpu_spec if isinstance(gpu_spec, dict) else {}
    resources = resource_spec if isinstance(resource_spec, dict) else {}

    def first(names: Sequence[str], source: JsonObject, allowed: _Range) -> int | float | None:
        return next((found for name in names if (found := _metric(source.get(name), allowed))), None)

    gib = first(("vram_gb",), spec, _GIB)
    vram = first(_SPEC_VRAM, spec, _MIB) or (gib and gib * 1024) or first(_SPEC_VRAM, resources, _MIB)
    count = first(("gpu_count", "count"), spec, _GPU_METRICS["gpu_count"])
    texts = {name: _short_text(spec.get(name), _TEXT_LIMITS[name]) or None for name in _SPEC_TEXTS}
    names = (_short_text(spec.get(name), _TEXT_LIMITS["gpu_name"]) for name in _SPEC_NAMES)
    return Facts(
        gpu_name=next((name for name in names if name), None),
        vram_mib=None if vram is None else round(vram),
        gpu_count=None if count is None else int(count),
        **texts,
    )


def metric_of(gpu_status: JsonObject | None, metric: str) -> float | None:
    """Return a metric of a stored report, None where there is none."""
    value = (gpu_status or {}).get(metric)
    return None if isinstance(value, bool) or not isinstance(value, int | float) else value


def _gpu_status(sent: JsonValue) -> JsonObject | None:
    if sent is None:
        return None
    if isinstance(sent, str):
        return {"status": sent}
    if not isinstance(sent, dict):
        raise gpu_status_not_object()
    report = _cleaned(sent, _GPU_METRICS)
    listed = report.get("all_gpus")
    if isinstance(listed, list):
        report["all_gpus"] = listed[:MAX_GPUS_LISTED]
    return report


def _gpu_info(sent: JsonValue) -> JsonObject:
    if sent is None:
        return {}
    if not isinstance(sent, dict):
        raise gpu_info_not_object()
    return _cleaned(sent, _GPU_METRICS)


def _cleaned(sent: JsonObject, ranges: Mapping[str, _Range]) -> JsonObject:
    """Return a copy whose documented metrics and texts are in range or null; other keys stay as they are."""
    report = dict(sent)
    for name, value in sent.items():
        if (allowed := ranges.get(name)) is not None:
            report[name] = _metric(value, allowed)
        elif (limit := _TEXT_LIMITS.get(name)) is not None:
            report[name] = _short_text(value, limit)
    return report


def _metric(sent: JsonValue, allowed: _Range) -> int | float | None:
    # As nearly all of them come; the rest is for floats, and for texts of numbers.
    if type(sent) is int and allowed.low <= sent <= allowed.high:
        return sent if sent < MAX_EXACT_INTEGER else float(sent)
    number = as_found(sent)
    if number is None or not allowed.low <= number <= allowed.high or (allowed.whole and number != int(number)):
        return None
    return plain(number)


def _short_text(sent: JsonValue, limit: int) -> str | None:
    return sent if isinstance(sent, str) and len(sent) <= limit else None


def _count(sent: JsonValue, limit: int) -> int | None:
    number = as_integer(sent)
    return number if number is not None and 0 <= number <= limit else None


def _model_names(sent: JsonValue) -> tuple[str, ...] | None:
    names = [sent] if isinstance(sent, str) else sent
    if not isinstance(names, list):
        return None
    usable = (name for name in names if isinstance(name, str) and 0 < len(name) <= MAX_MODEL_NAME)
    return tuple(dict.fromkeys(usable))[:MAX_MODELS]


def _job_types(sent: JsonValue) -> frozenset[str] | None:
    names = _model_names(sent)
    return frozenset(names) if names else None


def _facts(gpu_status: JsonObject, gpu_info: JsonObject) -> Facts:
    sources = (gpu_info, gpu_status) if gpu_info else (gpu_status,)

    def text(name: str) -> str | None:
        for source in sources:
            value = source.get(name)
            if isinstance(value, str) and value:
                return value
        return None

    vram = next(
        (
            value
            for value in (gpu_info.get("vram_mb"), gpu_status.get("gpu_vram_mib"), gpu_status.get("vram_mb"))
            if value
        ),
        None,
    )
    name, count = text("gpu_name"), gpu_status.get("gpu_count")
    if name is None and gpu_status.get("gpus_present") == 0:
        # Daemons say that they have one slot, also where there is no GPU, and it would be one without a name.
        count = None
    if isinstance(count, int) and count > 1 and (alike := len(offered_cards(gpu_status))) < len(cards(gpu_status)):
        # Two cards are sold as two that are alike: those of another model are not counted with them.
        count = min(count, alike)
    return Facts(
        gpu_name=name,
        vram_mib=round(vram) if isinstance(vram, int | float) else None,
        gpu_count=count if isinstance(count, int) else None,
        driver_version=text("driver_version"),
        cuda_version=text("cuda_version"),
        compute_capability=text("compute_capability"),
        daemon_version=text("daemon_version"),
        os_info=text("os_info"),
        python_version=text("python_version"),
    )
