"""Which provider of a kind stands for it."""

from dc1.control.fleet.availability import FreeProviders
from dc1.domain.jobs.placement import ProviderView, Requirement
from dc1.domain.providers.liveness import Approval, ProviderStatus


def free(*ids: int) -> FreeProviders:
    found = FreeProviders()
    for provider_id in ids:
        found.put(ProviderView(provider_id, Approval.APPROVED, ProviderStatus.ONLINE))
    return found


def test_the_first_of_a_kind_is_best() -> None:
    assert free(3, 2, 1).best(Requirement()) == 1


def test_who_is_excluded_hides_nobody_of_its_kind() -> None:
    assert free(1, 2, 3).best(Requirement(excluded_provider_id=1)) == 2
    assert free(1, 2, 3).best(Requirement(excluded_provider_id=1), avoid=(2,)) == 3
    assert free(1, 2).best(Requirement(excluded_provider_id=1), avoid=(2,)) == 2
    assert free(1).best(Requirement(excluded_provider_id=1)) is None


def test_who_should_not_get_it_gets_it_when_nobody_else_can() -> None:
    assert free(1, 2).best(Requirement(), avoid=(1,)) == 2
    assert free(1).best(Requirement(), avoid=(1,)) == 1
