"""Canonical GPU types."""

import pytest

from dc1.domain.providers.hardware import (
    GPU_MODELS,
    GPU_TYPES,
    canonical_gpu_type,
    gpu_name,
    is_of_gpu_type,
    requested_gpu_type,
)


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ("NVIDIA GeForce RTX 4090", "RTX4090"),
        ("RTX4090", "RTX4090"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA L40", "L40"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA A100-SXM4-80GB", "A10080GB"),
        ("NVIDIA A100", "A100"),
        ("nvidia h200", "H200"),
        ("GeForce GT 710", "GT710"),
        ("GeForce GT 430", "GT430"),
        ("NVIDIA GB200", "GB200"),
        ("NVIDIA GH200 480GB", "GH200480GB"),
        ("NVIDIA T400", "T400"),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "A100SXM440GBMIG1G5GB"),
        ("NVIDIA A100 1g.10gb", "A1001G10GB"),
        # Slices of cards by vGPU are as little the card.
        ("NVIDIA L40S-12Q", "L40S12Q"),
        ("GRID A100-10C", "GRIDA10010C"),
        ("NVIDIA A100-1-5CME", "A10015CME"),
        ("GRID T4-16Q", "GRIDT416Q"),
        ("NVIDIA RTX A6000-48Q", "RTXA600048Q"),
        ("Tesla V100-PCIE-32GB", "V100"),
        ("", None),
        (None, None),
    ],
)
def test_a_reported_name_is_one_of_the_types(reported: str | None, expected: str | None) -> None:
    assert canonical_gpu_type(reported) == expected


@pytest.mark.parametrize("gpu_type", GPU_TYPES)
def test_every_type_is_itself(gpu_type: str) -> None:
    assert requested_gpu_type(gpu_type) == gpu_type
    assert is_of_gpu_type(canonical_gpu_type(gpu_type), gpu_type)


@pytest.mark.parametrize("model", GPU_MODELS)
@pytest.mark.parametrize("spelled", ["{}", "NVIDIA GeForce {}", "nvidia {} PCIe", "Tesla-{}"])
def test_a_model_has_one_name_however_it_is_spelled(model: str, spelled: str) -> None:
    for name in (model, model.lower(), model.replace(" ", "-"), model.replace(" ", "")):
        assert gpu_name(spelled.format(name)) == model


@pytest.mark.parametrize(
    ("reported", "vram_mib", "expected"),
    [
        ("NVIDIA A100-PCIE", 81_920, "A100 80 GB"),
        ("NVIDIA A100-PCIE", 40_960, "A100 40 GB"),
        # What is measured counts, and not what a name says.
        ("NVIDIA A100-SXM4-80GB", 40_960, "A100 40 GB"),
        ("NVIDIA A100-SXM4-40GB", None, "A100 40 GB"),
    ],
)
def test_an_a100_is_told_by_its_memory(reported: str, vram_mib: int | None, expected: str) -> None:
    assert gpu_name(reported, vram_mib) == expected


def test_an_order_for_a_family_takes_each_of_its_models_and_not_the_other_way_round() -> None:
    assert is_of_gpu_type("A10080GB", "A100")
    assert is_of_gpu_type("A10040GB", "A100")
    assert not is_of_gpu_type("A10040GB", "A10080GB")
    assert not is_of_gpu_type("A100", "A10080GB")


def test_what_machines_report_may_be_ordered_too() -> None:
    assert requested_gpu_type("GeForce GTX 1660") is None
    assert requested_gpu_type("GeForce GTX 1660", {"GTX1660"}) == "GTX1660"


@pytest.mark.parametrize(
    ("requested", "expected"),
    [("rtx-4090", "RTX4090"), ("l40s", "L40S"), ("NVIDIA RTX A6000", "A6000"), ("GT710", None), ("", None)],
)
def test_requests_ignore_case_and_punctuation(requested: str, expected: str | None) -> None:
    assert requested_gpu_type(requested) == expected
