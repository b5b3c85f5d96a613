"""What the pages quote of the examples stands there."""

import pytest

from tests.docs.pages import ROOT, Page, pages


@pytest.mark.parametrize("page", pages(), ids=str)
def test_blocks_that_are_said_to_be_from_an_example_are(page: Page) -> None:
    for name, text in page.excerpts:
        whole = (ROOT / name).read_text(encoding="utf-8").splitlines()
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        assert set(lines) <= {line.strip() for line in whole}, f"{name} says it otherwise"
