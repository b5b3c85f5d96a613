"""What strangers write is shown as they wrote it, and runs nowhere."""

from dc1.testing.market import LocalMarket
from dc1.testing.people import answered
from tests.console.visitor import Visitors

NASTY = (
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "\"'><svg onload=alert(1)>",
    "{{7*7}}${7*7}",
    "javascript:alert(1)",
    "\u202eevil\u202c &lt;b&gt;",
)


def test_a_machines_name_and_place_are_text(town: LocalMarket, visitors: Visitors) -> None:
    for name in NASTY:
        daemon = town.register_provider(name=name, location=name)
        town.admin.approve(daemon.id)
        answered(daemon.post("/providers/heartbeat", {"gpu_status": {"gpu_name": name[:60], "gpu_vram_mib": 24564}}))
    with visitors.one() as visitor:
        page = visitor.open("/")
        shown = page.locator("table tbody th").all_text_contents()
        for name in NASTY:
            assert name in shown
        assert page.evaluate("document.querySelectorAll('td img, td svg, td script, th img, th svg').length") == 0


def test_an_accounts_name_and_a_refusal_are_text(town: LocalMarket, visitors: Visitors) -> None:
    for name in NASTY[:2]:
        renter = town.add_renter(name=name)
        with visitors.one() as visitor:
            page = visitor.sign_in(renter.key)
            assert page.locator(".lead").inner_text() == name


def test_markup_cannot_be_made_of_text_at_all(visitors: Visitors) -> None:
    with visitors.one() as visitor:
        page = visitor.open("/")
        refused = page.evaluate("try { document.body.innerHTML = '<b>x</b>'; 'taken' } catch (error) { error.name }")
        assert refused == "TypeError"
        # The browser says so, too.
        assert all("TrustedHTML" in text or "Trusted Type" in text for text in visitor.wrong)
        visitor.wrong.clear()
