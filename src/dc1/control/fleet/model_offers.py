"""What the market has of each model: who offers it, how many of them can be had now, and what that takes and costs."""

from collections.abc import Iterable
from dataclasses import dataclass

from dc1.control.fleet.fleet import Fleet
from dc1.control.fleet.provider import Provider
from dc1.domain.jobs.placement import vram_gb
from dc1.domain.money.machine_prices import UNIT_PRICE_BPS
from dc1.domain.money.pricing import halala_to_sar
from dc1.domain.providers.liveness import Approval, ProviderStatus
from dc1.domain.providers.model_abilities import KnownAbilities, ModelAbilities


@dataclass(slots=True)
class ModelOffer:
    """A model as some provider spells it, how many providers have it, and what one GPU of each costs, added up.

    `abilities` is what it can do at whoever takes calls for it, None where nobody does.
    """

    model: str
    online: int = 0
    total: int = 0
    least_vram_mib: int | None = None
    prices_bps: int = 0
    abilities: ModelAbilities | None = None

    def note_abilities(self, abilities: ModelAbilities) -> None:
        """Count what it can do at a provider that can be called now."""
        self.abilities = abilities if self.abilities is None else self.abilities.joined(abilities)

    def note_vram(self, vram_mib: int | None) -> None:
        """Count a machine with so much of it, None for one that does not say."""
        known = [vram for vram in (self.least_vram_mib, vram_mib) if vram]
        self.least_vram_mib = min(known, default=None)

    @property
    def least_vram_gb(self) -> int:
        """The least VRAM of a machine that has the model, in whole GiB; 0 when none says."""
        return vram_gb(self.least_vram_mib or 0)

    def mean_sar_per_minute(self, rate_halala_per_minute: int) -> float:
        """Return what a minute costs there in the mean, where one on an RTX 4090 costs that rate; 0 with nobody."""
        prices = self.prices_bps / self.total if self.total else 0
        return round(halala_to_sar(rate_halala_per_minute) * prices / UNIT_PRICE_BPS, 6)


def model_offers(fleet: Fleet, now_ms: int) -> dict[str, ModelOffer]:
    """Return what approved providers offer of every model, by its name in lower case."""
    return _offers(fleet, fleet, now_ms)


def offer_of_model(fleet: Fleet, model: str, now_ms: int) -> ModelOffer:
    """Return what approved providers offer of one model, which may be nothing."""
    known = (provider for each in fleet.offered.providers_of(model) if (provider := fleet.get(each)) is not None)
    return _offers(fleet, known, now_ms).get(model.lower(), ModelOffer(model))


@dataclass(frozen=True, slots=True)
class Offered:
    """What lists of models take from one provider: equal to what it was until a list of them changes."""

    models: tuple[str, ...]
    is_online: bool
    vram_mib: int | None
    price_bps: int
    abilities: KnownAbilities | None


def offered_by(fleet: Fleet, provider: Provider, now_ms: int) -> Offered | None:
    """Return what a provider offers of its models; None of one that no list of them counts."""
    # Paused and offline ones count as well: this says what the market has, `online` what can be had now.
    if provider.approval is not Approval.APPROVED or provider.suspended:
        return None
    return Offered(
        provider.models,
        provider.status(now_ms, fleet.thresholds) is ProviderStatus.ONLINE,
        provider.vram_mib,
        provider.price_bps(fleet.prices),
        provider.abilities if provider.presence.stream_open else None,
    )


def _offers(fleet: Fleet, providers: Iterable[Provider], now_ms: int) -> dict[str, ModelOffer]:
    offers: dict[str, ModelOffer] = {}
    for provider in providers:
        if (offered := offered_by(fleet, provider, now_ms)) is None:
            continue
        # By the lower-cased name, as placement compares (contract 4.3), so one provider with two spellings counts once.
        for name, model in {model.lower(): model for model in offered.models}.items():
            offer = offers.setdefault(name, ModelOffer(model))
            offer.total += 1
            offer.online += offered.is_online
            offer.note_vram(offered.vram_mib)
            if offered.abilities is not None:
                offer.note_abilities(offered.abilities.of_model(name))
            offer.prices_bps += offered.price_bps
    return offers
