"""What a server tells Prometheus is what happened on it."""

from pathlib import Path

import httpx
import pytest

from dc1.edge.metrics import page_of_edge
from dc1.metrics.exposition import NothingToTellError
from dc1.testing.market import LocalMarket
from dc1.testing.people import answered
from tests.metrics.reading import read, url_of, value


def test_calls_are_counted_by_method_and_status_and_made_up_names_are_not(watched: LocalMarket) -> None:
    for _ in range(3):
        watched.rest.get("/providers/available")
    watched.rest.get("/renters/jobs")
    watched.rest.get("/there/is/no/such/thing")
    found = read(watched)

    assert value(found, "dc1_calls_total", method="MarketService/ListMarketProviders", code="200") == 3
    assert value(found, "dc1_call_seconds_count", method="MarketService/ListMarketProviders") == 3
    assert not [each for each in found["dc1_calls_total"] if "such" in each.labels["method"]]
    assert value(found, "dc1_refusals_total", reason="unauthenticated") == sum(
        each["count"]
        for each in answered(watched.admin.get("/admin/metrics"))["refusals"]
        if each["reason"] == "unauthenticated"
    )


def test_a_job_is_followed_from_its_submission_to_its_money(watched: LocalMarket) -> None:
    renter = watched.add_renter()
    before = read(watched)
    job = renter.submit()
    watched.server.look_at_market()
    waiting = read(watched)
    daemon = watched.add_provider()
    handed = watched.next_job(daemon)
    watched.clock.advance(60)
    daemon.result(handed["job_id"])
    watched.server.look_at_market()
    after = read(watched)

    def grown(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert value(waiting, "dc1_queue_jobs", gpu_type="any") == 1
    assert value(after, "dc1_queue_jobs") == 0
    assert grown("dc1_jobs_submitted_total", source="api") == 1
    assert grown("dc1_claims_total", outcome="taken") == 1
    assert grown("dc1_offers_total") == 1
    assert grown("dc1_offers_ended_total", outcome="accepted") == 1
    assert grown("dc1_job_wait_seconds_count", source="api") == 1
    assert grown("dc1_jobs_ended_total", source="api", status="completed") == 1
    assert grown("dc1_settled_halala_total") == job["cost_halala"]
    assert value(after, "dc1_market_jobs", status="completed") == 1
    assert value(after, "dc1_providers", status="online") == 1
    assert value(after, "dc1_ledger_difference_halala") == 0
    assert value(after, "dc1_database_wait_seconds_count", kind="write") > 0
    assert value(after, "dc1_database_group_units_count") > 0


def test_the_edge_s_own_figures_are_behind_the_same_address(watched: LocalMarket) -> None:
    watched.rest.get("/providers/available")
    answer = httpx.get(url_of(watched, "/metrics/edge"), trust_env=False).raise_for_status()

    assert 'envoy_http_downstream_rq_xx{envoy_response_code_class="2"' in answer.text


def test_where_there_is_no_edge_it_is_said_with_a_503(tmp_path: Path) -> None:
    with pytest.raises(NothingToTellError, match="No edge answers in this data directory"):
        page_of_edge(tmp_path / "admin.sock")("")
