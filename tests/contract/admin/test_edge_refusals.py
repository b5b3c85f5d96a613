"""What the edge refuses without a word of the server's is seen by operators all the same (contract 3.5)."""

from collections import Counter
from typing import Any

import grpc
import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.people import answered
from dc1.testing.rest import Json
from dcp.v1 import renter_service_pb2_grpc
from dcp.v1.renter_service_pb2 import RegisterRenterRequest

TOO_LARGE = b" " * (3 * 1024 * 1024)


def edge_metrics(market: LocalMarket) -> Json:
    edge: Json = answered(market.admin.get("/admin/metrics"))["edge"]
    return edge


def refused_at_edge(market: LocalMarket) -> Counter[tuple[str, str]]:
    return Counter({(each["method"], each["reason"]): each["count"] for each in edge_metrics(market)["refusals"]})


def test_what_the_edge_refuses_is_in_metrics_dashboard_and_audit_trail() -> None:
    with LocalMarket.running() as market:
        # Whoever asked before the server was there was refused.
        before = refused_at_edge(market)
        # Refused by the edge alone: in REST, as a message, for a path that there is not, and twice what is an admin's.
        market.rest.post("/jobs/submit", content=TOO_LARGE, headers={"x-renter-key": "x"})
        with grpc.insecure_channel(market.edge.target) as channel:
            stub: Any = renter_service_pb2_grpc.RenterServiceStub(channel)
            with pytest.raises(grpc.RpcError, match="RESOURCE_EXHAUSTED"):
                stub.RegisterRenter(RegisterRenterRequest(name="x" * 300_000))
        market.rest.post("/nowhere", {"a": 1})
        for _ in range(2):
            market.admin.post("/admin/renters/1/credit", content=TOO_LARGE)
        # Refused in the words of the server, which counts it.
        market.rest.post("/jobs/submit", {"job_type": "x"})
        counted = refused_at_edge(market) - before
        assert counted == {
            ("AdminRenterService/CreditRenter", "too_large"): 2,
            ("JobService/SubmitJob", "too_large"): 1,
            ("RenterService/RegisterRenter", "too_large"): 1,
            ("unknown", "not_found"): 1,
        }
        stats = market.admin.dashboard()["stats"]
        assert (stats["refused_at_edge"] - before.total(), stats["refused_calls"]) == (5, 1)

        # A server that stops enters what it has not yet.
        market.restart()
        entries = answered(market.admin.get("/admin/audit"))["entries"]
        of_edge = [entry for entry in entries if entry["method"] == "edge"]
        assert len(of_edge) == 1
        assert of_edge[0] | {"id": 0, "at": ""} == {
            "id": 0,
            "at": "",
            "actor": "several",
            "method": "edge",
            "path": "/dcp.v1.AdminRenterService/CreditRenter",
            "status": 413,
            "address": "several",
            "reason": "too_large",
            "calls": 2,
        }
        # One that starts enters nothing again, and none that has no edge waits for one.
        market.restart(data_dir=market.data_directory / "elsewhere")
        entries = answered(market.admin.get("/admin/audit"))["entries"]
        assert len([entry for entry in entries if entry["method"] == "edge"]) == 1
        assert edge_metrics(market) == {"asked": False, "refusals": [], "refused_connections": 0}
