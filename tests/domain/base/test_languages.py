"""Which language a reader is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc1.domain.base.languages import preferred


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("ar", "ar"),
        ("ar-SA,ar;q=0.9,en;q=0.8", "ar"),
        ("en-GB,en;q=0.9,ar;q=0.8", "en"),
        ("fr, ar;q=0.5", "ar"),
        ("fr;q=1.0, *;q=0.5", "en"),
        ("en;q=0, ar;q=0.1", "ar"),
        ("ar;q=0", "en"),
        ("AR-eg ; q=0.3 , en ; q=0.2", "ar"),
        ("ar;q=nan, en;q=0.1", "en"),
        ("ar;q=2, en;q=0.1", "en"),
    ],
)
def test_the_language_liked_best_of_those_that_there_are(header: str, language: str) -> None:
    assert preferred(header) == language


@given(st.text())
def test_any_text_gives_one(header: str) -> None:
    assert preferred(header) in ("en", "ar")
