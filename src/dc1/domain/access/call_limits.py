"""How much of /v1 a renter or a scoped key may use at a time, and what models and providers a key may have."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from dc1.domain.access.provider_choice import ANY_PROVIDER, ProviderChoice
from dc1.domain.errors import scope_missing


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Calls and tokens in a minute, and streamed calls at a time; None stands for any number."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    streams: int | None = None

    def over(self, usual: Self) -> Self:
        """Return the limits with what is not said taken from the usual ones."""
        return type(self)(
            usual.requests_per_minute if self.requests_per_minute is None else self.requests_per_minute,
            usual.tokens_per_minute if self.tokens_per_minute is None else self.tokens_per_minute,
            usual.streams if self.streams is None else self.streams,
        )


NO_LIMITS = CallLimits()


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """What a scoped key is held to.

    `models` are in lower case, and None for every model and for jobs without one; `providers` are who may have what it
    orders.
    """

    calls: CallLimits = NO_LIMITS
    models: Sequence[str] | None = None
    providers: ProviderChoice = ANY_PROVIDER

    def require_model(self, model: str | None) -> None:
        """Refuse work that the key may not order.

        Raises:
            scope_missing: It is of none of the models that the key may name.
        """
        if self.models is not None and (model is None or model.lower() not in self.models):
            raise scope_missing(f"model {model or 'of a job without one'}")

    def require_provider(self, provider_id: int | None) -> None:
        """Refuse work for a provider by name that the key may not have.

        Raises:
            scope_missing: The key does not allow this provider.
        """
        if provider_id is not None and not self.providers.allows(provider_id):
            raise scope_missing(f"provider {provider_id}")


UNLIMITED_KEY = KeyLimits()
