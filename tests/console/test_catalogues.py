"""Every text in both languages."""

from playwright.sync_api import Page

from tests.console.visitor import ROOT, Visitors

# Every leaf of a catalogue by its place: a text, or what makes one of its arguments.
_LEAVES = """async (path) => {
  const base = document.querySelector("script[type=module]").src.replace("main.js", "");
  const texts = (await import(base + path)).default;
  const leaves = (one, place) => typeof one === "object"
    ? Object.entries(one).flatMap(([name, inner]) => leaves(inner, `${place}.${name}`))
    : [[place, typeof one === "function" ? String(one(2, "2")) : one]];
  return Object.fromEntries(["en", "ar"].map(name => [name, Object.fromEntries(leaves(texts[name], ""))]));
}"""
_NAMES = sorted(path.relative_to(ROOT / "web").as_posix() for path in (ROOT / "web/text").glob("*.js"))
# Names that languages call themselves by.
_OTHER = {".otherLanguage"}


def _catalogue(page: Page, name: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = page.evaluate(_LEAVES, name)
    return found


def test_catalogues_are_complete_in_both_languages(visitors: Visitors) -> None:
    assert _NAMES
    with visitors.one() as visitor:
        page = visitor.open("/")
        for name in _NAMES:
            texts = _catalogue(page, name)
            english, arabic = texts["en"], texts["ar"]
            assert english.keys() == arabic.keys(), name
            assert all(text.strip() for text in (*english.values(), *arabic.values())), name
            in_latin = {
                place
                for place, text in arabic.items()
                if place not in _OTHER and not any("\u0600" <= letter <= "\u06ff" for letter in text)
            }
            assert not in_latin, name
