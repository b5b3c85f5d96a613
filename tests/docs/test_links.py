"""Every link in the pages leads somewhere."""

import pytest

from tests.docs.pages import ROOT, Page, pages


@pytest.mark.parametrize("page", pages(), ids=str)
def test_links_lead_to_files_and_headings(page: Page) -> None:
    broken = [link for link in page.links if "://" not in link and not leads_somewhere(page, link)]

    assert broken == []


def leads_somewhere(page: Page, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = (page.path.parent / name).resolve() if name else page.path
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    return not anchor or anchor in Page(target).anchors


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen, waiting = set[Page](), [Page(ROOT / "README.md")]
    while waiting:
        page = waiting.pop()
        seen.add(page)
        linked = {(page.path.parent / link.partition("#")[0]).resolve() for link in page.links if "://" not in link}
        waiting += [Page(path) for path in linked if path.suffix == ".md" and Page(path) not in seen]

    assert sorted(map(str, set(pages()) - seen)) == []


def test_the_readme_is_short() -> None:
    assert len(Page(ROOT / "README.md").text.splitlines()) <= 150
