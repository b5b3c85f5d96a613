"""Lists that everybody is given: built once a change, and not sent again to who has them (contract 3.1)."""

import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.poll_daemon import REPORT, PollDaemon
from dc1.testing.rest import Rest
from tests.contract.expect import answered

LISTS = ("/renters/available-providers", "/providers/public")


@pytest.mark.parametrize("path", LISTS)
def test_who_has_a_list_is_not_sent_it_until_it_changes(rest: Rest, provider: PollDaemon, path: str) -> None:
    first = rest.get(path)
    etag = first.headers["etag"]
    assert first.json()
    for known in (etag, f'"another", {etag}', "*"):
        again = rest.get(path, headers={"if-none-match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == etag
        assert "content-type" not in again.headers
    assert rest.get(path, headers={"if-none-match": '"another"'}).json() == first.json()
    # A beat that says the same changes nothing that anybody could see; one with another model does.
    provider.heartbeat(REPORT)
    assert rest.get(path, headers={"if-none-match": etag}).status_code == 304
    provider.heartbeat({**REPORT, "cached_models": ["another/model"]})
    changed = rest.get(path, headers={"if-none-match": etag})
    assert "another/model" in changed.text
    assert changed.headers["etag"] != etag
    answered(provider.post("/providers/pause", {}))
    left = rest.get(path, headers={"if-none-match": changed.headers["etag"]})
    assert "another/model" not in left.text
    assert left.status_code == 200


def test_pages_of_a_list_are_told_apart(rest: Rest, provider: PollDaemon) -> None:
    path = LISTS[0]
    etags = {rest.get(f"{path}{query}").headers["etag"] for query in ("", "?offset=1", "?gpu_type=H100")}
    assert len(etags) == 3


@pytest.mark.parametrize("path", ["/providers/models", "/v1/models"])
def test_lists_of_models_stay_until_one_of_them_changes(market: LocalMarket, provider: PollDaemon, path: str) -> None:
    rest = market.rest
    daemon = market.connect(provider)
    first = rest.get(path)
    assert first.json()["data"]
    unchanged = {"if-none-match": first.headers["etag"]}
    daemon.beat()
    assert rest.get(path, headers=unchanged).status_code == 304
    answered(market.admin.patch("/admin/pricing/llm_inference", {"rate_halala": 77}))
    dearer = rest.get(path, headers=unchanged)
    assert dearer.json()["data"][0]["avg_price_sar_per_min"] > first.json()["data"][0]["avg_price_sar_per_min"]
    answered(provider.post("/providers/pause", {}))
    left = rest.get(path, headers={"if-none-match": dearer.headers["etag"]})
    assert [model["status"] for model in left.json()["data"]] == ["unavailable"] * len(left.json()["data"])


def test_ages_in_a_list_are_those_of_the_second(market: LocalMarket, provider: PollDaemon) -> None:
    def listed() -> tuple[int, str]:
        answer = market.rest.get("/providers/available")
        return answer.json()["providers"][0]["heartbeat_age_seconds"], answer.headers["etag"]

    provider.heartbeat(REPORT)
    assert listed() == listed()
    age, etag = listed()
    market.clock.advance(1)
    assert listed()[0] == age + 1
    assert listed()[1] != etag
