"""Labels that others choose the values of never grow beyond their bound."""

from dc1.metrics.inference import InferenceMetrics


def models_in(metrics: InferenceMetrics) -> set[str]:
    return {sample.labels["model"] for family in metrics.calls.collect() for sample in family.samples}


def test_only_chosen_models_and_providers_have_series_and_others_share_one() -> None:
    chosen = ["known"]
    metrics = InferenceMetrics()
    metrics.bind(lambda: chosen, lambda: ["7"])
    metrics.choose()
    for number in range(1_000):
        metrics.ended(f"made-up-{number}", number + 100, "completed", 1, 2)
    metrics.ended("known", 7, "failed", 3, 4)

    assert models_in(metrics) == {"known", "other"}
    (tokens,) = metrics.provider_tokens.collect()
    assert {sample.labels["provider"]: sample.value for sample in tokens.samples} == {"7": 4, "other": 2_000}


def test_a_model_by_the_name_of_the_others_takes_nothing_from_them() -> None:
    chosen = ["other"]
    metrics = InferenceMetrics()
    metrics.bind(lambda: chosen, tuple)
    metrics.choose()
    metrics.ended("made-up", None, "completed", 1, 1)
    chosen.clear()
    metrics.choose()
    assert models_in(metrics) == {"other"}


def test_a_model_that_is_not_chosen_any_more_loses_its_series() -> None:
    chosen = ["first"]
    metrics = InferenceMetrics()
    metrics.bind(lambda: chosen, tuple)
    metrics.choose()
    metrics.ended("first", None, "completed", 1, 1)
    metrics.paced("first", 20, 100.0)
    chosen[:] = ["second"]
    metrics.choose()
    metrics.ended("first", None, "completed", 1, 1)

    assert models_in(metrics) == {"other"}
    assert not [sample for family in metrics.ttft_seconds.collect() for sample in family.samples]
