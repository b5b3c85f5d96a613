"""Verification holds what a daemon says of its GPU against what it reported and what a probe proved."""

from dataclasses import dataclass
from enum import StrEnum

from dc1.domain.providers.hardware import canonical_gpu_type, is_of_gpu_type
from dc1.domain.providers.mismatches import Performance
from dc1.domain.providers.reports import Facts

# Drivers keep some memory to themselves, and not all of them report it alike.
_VRAM_TOLERANCE = 0.1


class Verdict(StrEnum):
    """What is thought of a machine."""

    VERIFIED = "verified"
    REPORTED = "reported"
    SUSPICIOUS = "suspicious"
    FAILED = "failed"


class Flag(StrEnum):
    """What does not fit."""

    NO_GPU_INFO = "no_gpu_info"
    NEVER_REPORTED = "never_reported"
    GPU_MISMATCH = "gpu_mismatch"
    VRAM_MISMATCH = "vram_mismatch"
    NOT_MEASURED = "not_measured"
    BELOW_MODEL = "below_model"
    IMPOSSIBLE_GPU = "impossible_gpu"
    UNKNOWN_CHALLENGE = "unknown_challenge"
    MALFORMED_RESULT = "malformed_result"


# Of 100 points.
_PENALTIES = {
    Flag.NO_GPU_INFO: 40,
    Flag.NEVER_REPORTED: 30,
    Flag.GPU_MISMATCH: 60,
    Flag.VRAM_MISMATCH: 30,
    Flag.NOT_MEASURED: 40,
    Flag.BELOW_MODEL: 20,
    Flag.IMPOSSIBLE_GPU: 100,
    Flag.UNKNOWN_CHALLENGE: 100,
    Flag.MALFORMED_RESULT: 100,
}
_FAILS = frozenset({Flag.IMPOSSIBLE_GPU, Flag.UNKNOWN_CHALLENGE, Flag.MALFORMED_RESULT})


@dataclass(frozen=True, slots=True)
class Assessment:
    """A verdict and what it rests on; `score` is 0 to 100."""

    verdict: Verdict
    score: int
    flags: tuple[Flag, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the market knows of a machine beside its report."""

    is_measured: bool
    performance: Performance | None
    has_mismatch: bool

    @property
    def flags(self) -> tuple[Flag, ...]:
        """What is doubtful or not known yet."""
        if self.has_mismatch:
            return (Flag.IMPOSSIBLE_GPU,)
        if not self.is_measured:
            return (Flag.NOT_MEASURED,)
        return (Flag.BELOW_MODEL,) if self.performance is Performance.BELOW_MODEL else ()


def assess(*flags: Flag) -> Assessment:
    """Return the verdict on a machine with these flags: nobody is verified who was not measured."""
    score = max(0, 100 - sum(_PENALTIES[flag] for flag in flags))
    if _FAILS & set(flags):
        verdict = Verdict.FAILED
    elif set(flags) <= {Flag.BELOW_MODEL}:
        verdict = Verdict.VERIFIED
    else:
        verdict = Verdict.REPORTED if flags == (Flag.NOT_MEASURED,) else Verdict.SUSPICIOUS
    return Assessment(verdict, score, flags)


def compare(known: Facts, said: Facts) -> tuple[Flag, ...]:
    """Return what does not fit between the facts that were reported before and those that are given now."""
    if said.gpu_name is None and said.vram_mib is None:
        return (Flag.NO_GPU_INFO,)
    if known.gpu_name is None and known.vram_mib is None:
        return (Flag.NEVER_REPORTED,)
    flags = []
    if known.gpu_name and said.gpu_name and not _same_gpu(known.gpu_name, said.gpu_name):
        flags.append(Flag.GPU_MISMATCH)
    if known.vram_mib and said.vram_mib and abs(known.vram_mib - said.vram_mib) > _VRAM_TOLERANCE * known.vram_mib:
        flags.append(Flag.VRAM_MISMATCH)
    return tuple(flags)


def _same_gpu(known: str, said: str) -> bool:
    # By type, for the same card is called by several names; one of them may say less than the other.
    known_type, said_type = canonical_gpu_type(known) or "", canonical_gpu_type(said) or ""
    return is_of_gpu_type(known_type, said_type) or is_of_gpu_type(said_type, known_type)
