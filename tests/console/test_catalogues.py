"""Every text in both languages."""

import re
from collections.abc import Iterable

from playwright.sync_api import Page

from dc1.domain.access.notifications import NotificationEvent
from dc1.domain.access.operators import OperatorRole
from dc1.domain.access.webhooks import DeliveryStatus
from dc1.domain.jobs.faults import Fault
from dc1.domain.jobs.states import JobEvent, JobStatus, JobType
from dc1.domain.money.shared_traits import Trait
from dc1.domain.money.withdrawals import WithdrawalStatus
from dc1.domain.providers.alerts import AlertReason
from dc1.domain.providers.gpu_sources import GpuSource
from dc1.domain.providers.liveness import Approval, ProviderStatus
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
_WORDS: dict[str, Iterable[str]] = {
    "jobTypes": JobType,
    "jobEvents": JobEvent,
    "faults": Fault,
    "payoutStates": WithdrawalStatus,
    "deliveryStates": DeliveryStatus,
    "gpuSources": GpuSource,
    "operatorRoles": OperatorRole,
    "traits": Trait,
    "alerts": AlertReason,
    "notifications": NotificationEvent,
}
_STATES: tuple[Iterable[str], ...] = (JobStatus, ProviderStatus, Approval)


# What raises it, or returns it in its place.
_SAYS_WHY = re.compile(r'(?:Error\(|return |None, |else )f?"([A-Z][^"]+)"')


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


def test_what_the_api_calls_things_has_words(visitors: Visitors) -> None:
    """As a word that is in no catalogue is shown as it is, which no look at a page can tell from a name."""
    with visitors.one() as visitor:
        page = visitor.open("/")
        words, common = _catalogue(page, "text/words.js")["ar"], _catalogue(page, "text/common.js")["ar"]
    assert {f".{place}.{name}" for place, names in _WORDS.items() for name in names} <= words.keys()
    assert {f".states.{name}" for names in _STATES for name in names} <= common.keys()


def test_why_something_did_not_arrive_has_words(visitors: Visitors) -> None:
    sources = (ROOT / "src/dc1/control/delivery").glob("*.py")
    said = {re.sub(r"{.*?}", "#", why) for path in sources for why in _SAYS_WHY.findall(path.read_text("utf-8"))}
    with visitors.one() as visitor:
        words = _catalogue(visitor.open("/"), "text/words.js")["ar"]
    assert {f".undelivered.{why}" for why in said} == {place for place in words if place.startswith(".undelivered.")}
