"""Canonical GPU types."""

import pytest

from dc1.domain.providers.hardware import GPU_TYPES, canonical_gpu_type, requested_gpu_type


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ("NVIDIA GeForce RTX 4090", "RTX4090"),
        ("RTX4090", "RTX4090"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA L40", "L40"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA A100-SXM4-80GB", "A100"),
        ("nvidia h200", "H200"),
        ("GeForce GT 710", None),
        ("", None),
        (None, None),
    ],
)
def test_a_reported_name_is_one_of_the_types(reported: str | None, expected: str | None) -> None:
    assert canonical_gpu_type(reported) == expected


@pytest.mark.parametrize("gpu_type", GPU_TYPES)
def test_every_type_is_itself(gpu_type: str) -> None:
    assert canonical_gpu_type(gpu_type) == requested_gpu_type(gpu_type) == gpu_type


@pytest.mark.parametrize(
    ("requested", "expected"), [("rtx-4090", "RTX4090"), ("l40s", "L40S"), ("GT710", None), ("", None)]
)
def test_requests_ignore_case_and_punctuation(requested: str, expected: str | None) -> None:
    assert requested_gpu_type(requested) == expected
