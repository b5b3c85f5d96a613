"""Who offers which model, and since when."""

from dc1.control.fleet.offered_models import OfferedModels


def test_the_last_report_counts_for_who_offers_and_the_first_for_since_when() -> None:
    offered = OfferedModels()
    offered.note(1, ["Org/A", "org/B"], 1000)
    offered.note(2, ["org/a"], 2000)
    assert set(offered.providers_of("ORG/a")) == {1, 2}
    offered.note(1, ["org/b"], 3000)
    assert set(offered.providers_of("org/A")) == {2}
    assert set(offered.providers_of("org/b")) == {1}
    assert not offered.providers_of("org/c")
    assert (offered.first_ms("org/A"), offered.first_ms("ORG/B"), offered.first_ms("org/c")) == (1000, 1000, None)


def test_what_is_new_is_to_be_stored_once() -> None:
    offered = OfferedModels()
    offered.load({"org/old": 5})
    offered.note(1, ["Org/Old", "Org/New"], 1000)
    unsaved = offered.take_unsaved()
    assert unsaved == {"org/new": 1000}
    assert offered.take_unsaved() == {}
    offered.keep_unsaved(unsaved)
    assert offered.take_unsaved() == {"org/new": 1000}
    assert offered.first_ms("org/old") == 5
