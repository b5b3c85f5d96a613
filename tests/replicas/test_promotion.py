"""A standby that is promoted may lack what came last, and gives out the numbers of those transactions once more."""

from dc1.control.cluster.replication import Replication
from dc1.testing.waiting import eventually
from tests.replicas.pair import Pair

_AHEAD = 5_000


def test_what_is_decided_after_the_database_went_back_is_followed(pair: Pair) -> None:
    provider = pair.add_provider(pair.a)
    replicas = pair.b.server.market.replicas
    assert isinstance(replicas, Replication)
    eventually(lambda: pair.b.server.market.fleet.get(provider.id), "replica B knowing the provider")
    # As if B had read from a primary that was that much further.
    replicas._horizon += _AHEAD
    pair.a.admin.post(f"/admin/providers/{provider.id}/suspend")
    known = pair.b.server.market.fleet
    eventually(lambda: known.known(provider.id).suspended, "replica B knowing of the decision", 5)
