from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from dc1.testing.market import LocalMarket
from tests.console.browser.no_netlink import wrapped
from tests.console.visitor import Visitors, launch

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from dc1.testing.edge import Edge


# Of a module: Playwright's loop runs in this thread for as long as it is there, and no test with one of its own could.
@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    # The browser without all that a window has around a page, of which nobody here sees anything: half of its cost.
    program = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if program is None:
        pytest.skip("no browser to test with: the package chromium is not installed")
    with sync_playwright() as playwright:
        # Containers of other tests bring up interfaces meanwhile.
        chromium = launch(playwright, str(wrapped(program, tmp_path_factory.mktemp("browser"))))
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def town(edge: Edge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalMarket]:
    """One market for all tests of a module."""
    market = LocalMarket(edge, tmp_path_factory.mktemp("town"))
    yield market
    market.close()


@pytest.fixture
def visitors(browser: Browser, town: LocalMarket) -> Visitors:
    return Visitors(browser, town.edge.url)
