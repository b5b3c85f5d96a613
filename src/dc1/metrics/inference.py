"""Calls under /v1, by model and by provider, as far as their number has a bound."""

from collections.abc import Callable, Collection

from prometheus_client import Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase

from dc1.metrics.labels import BoundedLabel

MOST_MODELS = 50
"""Models with series of their own: those that most machines offer."""

MOST_PROVIDERS = 100
"""Providers with series of their own: those that have answered most calls of late."""

_TTFTS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
_TOKENS = (0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 1.0)


class InferenceMetrics:
    """Speed, tokens and ends of calls that daemons on this server's streams answered."""

    def __init__(self) -> None:
        self.ttft_seconds = Histogram(
            "dc1_inference_ttft_seconds",
            "Time from a call's offer to the first token of its answer.",
            ["model"],
            registry=None,
            buckets=_TTFTS,
        )
        self.token_seconds = Histogram(
            "dc1_inference_token_seconds",
            "Mean time between the tokens of an answer, one value a call.",
            ["model"],
            registry=None,
            buckets=_TOKENS,
        )
        self.tokens = Counter("dc1_inference_tokens", "Tokens that were settled.", ["model", "kind"], registry=None)
        self.calls = Counter("dc1_inference_calls", "Calls that ended.", ["model", "status"], registry=None)
        self.provider_calls = Counter(
            "dc1_inference_provider_calls", "The same by who had them.", ["provider", "status"], registry=None
        )
        self.provider_tokens = Counter(
            "dc1_inference_provider_tokens", "Tokens of answers by who made them.", ["provider"], registry=None
        )
        self._of_model = (self.ttft_seconds, self.token_seconds, self.tokens, self.calls)
        self._of_provider = (self.provider_calls, self.provider_tokens)
        self._models = BoundedLabel("model", self._of_model, tuple)
        self._providers = BoundedLabel("provider", self._of_provider, tuple)

    def bind(self, models: Callable[[], Collection[str]], providers: Callable[[], Collection[str]]) -> None:
        """Take the names with series of their own from those two, each time that `choose` is called."""
        self._models = BoundedLabel("model", self._of_model, models)
        self._providers = BoundedLabel("provider", self._of_provider, providers)

    def choose(self) -> None:
        """Choose anew which models and providers have series of their own."""
        self._models.choose()
        self._providers.choose()

    def paced(self, model: str, ttft_ms: int | None, tokens_per_second: float | None) -> None:
        """Note how fast a call was answered, as far as that was seen."""
        label = self._models.value(model)
        if ttft_ms is not None:
            self.ttft_seconds.labels(label).observe(ttft_ms / 1000)
        if tokens_per_second:
            self.token_seconds.labels(label).observe(1 / tokens_per_second)

    def ended(self, model: str, provider_id: int | None, status: str, prompt: int, completion: int) -> None:
        """Count a call that ended, with the tokens that were settled."""
        label = self._models.value(model)
        self.calls.labels(label, status).inc()
        self.tokens.labels(label, "prompt").inc(prompt)
        self.tokens.labels(label, "completion").inc(completion)
        if provider_id is not None:
            provider = self._providers.value(str(provider_id))
            self.provider_calls.labels(provider, status).inc()
            self.provider_tokens.labels(provider).inc(completion)

    def all(self) -> tuple[MetricWrapperBase, ...]:
        """Return what Prometheus is told."""
        return (*self._of_model, *self._of_provider)
