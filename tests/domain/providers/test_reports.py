"""Heartbeat reports: lenient reading and facts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc1.domain.base.json_types import JsonObject, JsonValue
from dc1.domain.errors import ApiError
from dc1.domain.providers.reports import Facts, Report, read_report

json_values: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=5,
)


def test_the_documented_example() -> None:
    status: JsonObject = {
        "gpu_name": "NVIDIA GeForce RTX 4090",
        "gpu_vram_mib": 24564,
        "gpu_util_pct": 37,
        "temp_c": 61,
        "daemon_version": "3.3.0",
    }
    report = read_report({"gpu_status": status, "cached_models": ["TinyLlama/TinyLlama-1.1B-Chat-v1.0"]})
    assert report.gpu_status == status
    assert report.facts == Facts(gpu_name="NVIDIA GeForce RTX 4090", vram_mib=24564, daemon_version="3.3.0")
    assert report.cached_models == ("TinyLlama/TinyLlama-1.1B-Chat-v1.0",)


def test_an_empty_heartbeat_says_nothing() -> None:
    assert read_report({}) == read_report({"gpu_status": None, "cached_models": None}) == Report()


def test_metrics_that_cannot_be_right_become_null_and_extras_stay() -> None:
    report = read_report({"gpu_status": {"gpu_util_pct": 999, "temp_c": "hot", "x": {"a": 512}, "power_w": "350"}})
    assert report.gpu_status == {"gpu_util_pct": None, "temp_c": None, "x": {"a": 512}, "power_w": 350}


@pytest.mark.parametrize(
    ("metric", "value", "stored"),
    [
        ("temp_c", -40, -40),
        ("temp_c", -41, None),
        ("power_w", 2000.5, None),
        ("gpu_util_pct", 37.5, 37.5),
        ("gpu_count", 2.0, 2),
        ("gpu_count", 2.5, None),
        ("gpu_count", 65, None),
        ("vram_mb", 1_048_577, None),
        ("free_vram_mib", True, None),
        ("driver_version", "5" * 81, None),
        ("daemon_version", 3, None),
    ],
)
def test_ranges(metric: str, value: JsonValue, stored: JsonValue) -> None:
    report = read_report({"gpu_status": {metric: value}})
    assert report.gpu_status == {metric: stored}


def test_a_string_status_is_wrapped() -> None:
    assert read_report({"gpu_status": "idle"}).gpu_status == {"status": "idle"}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"gpu_status": [1], "gpu_info": 3}, "gpu_status must be an object"),
        ({"gpu_status": 7}, "gpu_status must be an object"),
        ({"gpu_info": "RTX"}, "gpu_info must be an object"),
        ({"gpu_status": {"x": "y" * 300_000}}, "Validation failed"),
    ],
)
def test_refusals(body: JsonObject, text: str) -> None:
    with pytest.raises(ApiError) as caught:
        read_report(body)
    assert (caught.value.status, caught.value.message) == (400, text)


@pytest.mark.parametrize(
    ("body", "hardware"),
    [
        ({"gpu_spec": {"gpu_name": "RTX 4090", "vram_mib": 24564, "gpu_count": 2}}, ("RTX 4090", 24564, 2)),
        ({"gpu_spec": {"name": "L4", "vram_gb": 24, "count": "1"}}, ("L4", 24576, 1)),
        ({"gpu_spec": {"model": "L4", "vram_mb": 23000.4}}, ("L4", 23000, None)),
        ({"resource_spec": {"vram_mib": 8192, "cores": 8}}, (None, 8192, None)),
        ({"gpu_spec": {"vram_mib": 4096}, "resource_spec": {"vram_mib": 8192}}, (None, 4096, None)),
        # What was looked at wins over what is described.
        (
            {"gpu_status": {"gpu_name": "T4"}, "gpu_spec": {"gpu_name": "H100", "vram_mib": 15360}},
            ("T4", 15360, None),
        ),
        ({"gpu_status": {"gpus_present": 0}, "gpu_spec": {"gpu_name": "H100", "vram_mib": 81559}}, (None, None, None)),
        ({"gpu_spec": {"gpu_name": "", "vram_mib": -1, "gpu_count": 65}}, (None, None, None)),
        ({"gpu_spec": "H100", "resource_spec": "vram_mib: 8192"}, (None, None, None)),
        ({"gpu_spec": [{"gpu_name": "H100"}], "resource_spec": {"vram_mib": True}}, (None, None, None)),
    ],
)
def test_descriptions_say_what_the_report_does_not(body: JsonObject, hardware: tuple[object, ...]) -> None:
    assert read_report(body).facts.hardware == hardware


def test_gpu_info_wins_and_an_empty_name_says_nothing() -> None:
    report = read_report(
        {
            "gpu_status": {"gpu_name": "from status", "gpu_vram_mib": 1000, "cuda_version": "12.4", "gpu_count": 2},
            "gpu_info": {"gpu_name": "", "vram_mb": 2000, "cuda_version": "12.6"},
        }
    )
    assert report.facts == Facts(gpu_name="from status", vram_mib=2000, cuda_version="12.6", gpu_count=2)


def test_newer_facts_replace_only_what_they_know() -> None:
    known = Facts(gpu_name="A", vram_mib=24564, driver_version="550")
    assert known.updated(Facts(driver_version="560")) == Facts(gpu_name="A", vram_mib=24564, driver_version="560")
    assert known.updated(Facts()) == known


def test_lists_are_cut_and_a_single_name_is_a_list() -> None:
    report = read_report(
        {
            "gpu_status": {"all_gpus": [{"index": number} for number in range(40)]},
            "cached_models": [f"m{number}" for number in range(600)],
            "vllm_models": "one/model",
        }
    )
    assert report.gpu_status is not None
    assert report.gpu_status["all_gpus"] == [{"index": number} for number in range(32)]
    assert report.cached_models == tuple(f"m{number}" for number in range(500))
    assert report.vllm_models == ("one/model",)
    assert read_report({"cached_models": ["a", 5, "", "a", "b" * 201]}).cached_models == ("a",)
    assert read_report({"cached_models": []}).cached_models == ()


def test_the_other_fields() -> None:
    report = read_report(
        {
            "model_cache": {"used_mb": 10, "total_mb": "much", "used_pct": 101, "path": "/models"},
            "container_restart_count": "3",
            "resource_spec": "8 cores",
            "provider_ip": "203.0.113.7",
            "provider_hostname": "h" * 256,
        }
    )
    assert report.model_cache == {"used_mb": 10, "total_mb": None, "used_pct": None, "path": "/models"}
    assert report.container_restart_count == 3
    assert report.resource_spec == "8 cores"
    assert report.provider_ip == "203.0.113.7"
    assert report.provider_hostname is None


@given(st.dictionaries(st.sampled_from(["temp_c", "gpu_count", "gpu_name", "all_gpus", "vram_mb", "x"]), json_values))
def test_no_value_inside_gpu_status_fails_a_heartbeat(status: JsonObject) -> None:
    stored = read_report({"gpu_status": status, "gpu_info": status}).gpu_status
    assert stored is not None
    assert stored.keys() == status.keys()


@pytest.mark.parametrize("sent", [0, 5.5, True, {"name": "m"}, None])
def test_a_list_of_models_that_is_none_changes_nothing(sent: JsonValue) -> None:
    report = read_report({"cached_models": sent, "vllm_models": sent})
    assert (report.cached_models, report.vllm_models) == (None, None)


@pytest.mark.parametrize("sent", [[1], 5, True, None])
def test_a_resource_spec_that_is_neither_object_nor_string_changes_nothing(sent: JsonValue) -> None:
    assert read_report({"resource_spec": sent}).resource_spec is None


def test_a_slot_of_a_machine_without_gpus_is_no_gpu() -> None:
    """The daemon of a CPU machine says `gpu_count` 1: a job that needs a GPU would be given to it."""
    assert not read_report({"gpu_status": {"gpu_count": 1, "gpus_present": 0}}).facts.has_gpu
    assert read_report({"gpu_status": {"gpu_count": 1}}).facts.has_gpu
