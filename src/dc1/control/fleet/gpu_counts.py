"""How many providers have each GPU model."""

from collections import Counter

from dc1.control.fleet.provider import Provider


class GpuCounts:
    """Counts that follow each provider, because the dashboard must not walk the fleet."""

    def __init__(self) -> None:
        self._model_of: dict[int, str] = {}
        self._providers: Counter[str] = Counter()

    def update(self, provider: Provider) -> None:
        """Count a provider for the model it has now, and no longer for another."""
        before, now = self._model_of.get(provider.id), provider.gpu_model
        if before == now:
            return
        if before is not None:
            self._providers[before] -= 1
        self._providers[now] += 1
        self._model_of[provider.id] = now

    def most_common(self) -> list[tuple[str, int]]:
        """Return the models and their providers' number, most first."""
        return [(model, count) for model, count in self._providers.most_common() if count > 0]
