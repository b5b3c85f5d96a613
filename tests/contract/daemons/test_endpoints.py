"""Contract 3.4: a machine that does not know its own address serves where its calls come from."""

from collections.abc import Iterator

import pytest

from dc1.testing.edge import Edge
from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import MODEL, PollDaemon
from dc1.testing.rest import Json
from tests.contract.expect import answered, fields, refused

SERVING: Json = {"job_type": "vllm_serve", "duration_minutes": 5, "params": {"model": MODEL}}


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalMarket]:
    """A market behind an edge behind a proxy."""
    edge = Edge(tmp_path_factory.mktemp("edge"), trusted_proxies=1)
    market = LocalMarket(edge, tmp_path_factory.mktemp("market"))
    yield market
    market.close()
    edge.close()


@pytest.fixture(scope="module")
def serving(proxied: LocalMarket) -> tuple[Renter, PollDaemon]:
    """Somebody whose job runs, and the daemon that runs it."""
    provider, renter = proxied.add_provider(), proxied.add_renter()
    renter.submit(SERVING)
    provider.next()
    return renter, provider


@pytest.mark.parametrize("sent", [{}, {"provider_ip": None}, {"provider_ip": ""}], ids=["absent", "null", "empty"])
@pytest.mark.parametrize(
    ("heard", "url"),
    [
        ("8.8.8.8", "http://8.8.8.8:8000"),
        # What a client says of itself is not what the proxy before the edge says of it.
        ("1.1.1.1, 8.8.4.4", "http://8.8.4.4:8000"),
        ("2001:4860:4860::8888", "http://[2001:4860:4860::8888]:8000"),
        ("8.8.8.8, 10.0.0.7", None),
        ("192.168.1.4", None),
        ("", None),
    ],
)
def test_where_the_call_comes_from(serving: tuple[Renter, PollDaemon], sent: Json, heard: str, url: str | None) -> None:
    renter, provider = serving
    before = renter.job(1)["endpoint_url"]
    headers = {"x-forwarded-for": heard} if heard else {}
    response = provider.post("/jobs/1/endpoint-ready", {"port": 8000, **sent}, headers=headers)
    if url is None:
        assert fields(refused(response, 400, "Validation failed")) == ["provider_ip"]
    else:
        assert answered(response)["endpoint_url"] == url
    assert renter.job(1)["endpoint_url"] == (url or before)


def test_what_the_machine_says_wins(serving: tuple[Renter, PollDaemon]) -> None:
    body, headers = {"port": 8000, "provider_ip": "9.9.9.9"}, {"x-forwarded-for": "8.8.8.8"}
    assert (
        answered(serving[1].post("/jobs/1/endpoint-ready", body, headers=headers))["endpoint_url"]
        == "http://9.9.9.9:8000"
    )
