"""What anybody may know of the market."""

import pytest

from dc1.domain.base.clock import DAY_MS
from dc1.domain.jobs.states import JOB_TYPES
from dc1.domain.providers.telemetry import MINUTE_MS, Period
from dc1.storage.engine.database import Connection
from dc1.storage.providers import telemetry
from dc1.testing.market import LocalMarket
from dc1.testing.people import Admin, Renter
from dc1.testing.poll_daemon import MODEL, REPORT, PollDaemon
from dc1.testing.rest import Json, Rest
from dc1.testing.waiting import eventually
from tests.contract.expect import answered, refused, show
from tests.contract.fitting import fits, flag, free_object, integer, number, or_null, text, time

ROW: Json = {
    "id": integer,
    "name": text,
    "gpu_model": text,
    "vram_gb": integer,
    "vram_mib": integer,
    "gpu_count": integer,
    "driver_version": text,
    "compute_capability": text,
    "cuda_version": text,
    "status": text,
    "is_live": flag,
    "location": text,
    "reliability_score": integer,
    "cached_models": [text],
    "price_per_hour_sar": number,
}
MARKET_ROW: Json = {
    **ROW,
    "heartbeat_age_seconds": number,
    "degraded_since": or_null(time),
    "run_mode": text,
    "reputation_score": integer,
    "reputation_tier": text,
    "uptime_pct": number,
    "job_success_rate": number,
    "total_jobs_completed": integer,
    "cost_rates_halala_per_min": dict.fromkeys(JOB_TYPES, integer),
}
AVAILABLE: Json = {
    "providers": [MARKET_ROW],
    "total": integer,
    "online_count": integer,
    "degraded_count": integer,
    "timestamp": time,
}
MODEL_ROW: Json = {
    "id": text,
    "model": text,
    "model_id": text,
    "display_name": text,
    "providers_online": integer,
    "providers_total": integer,
    "providers_count": integer,
    "status": text,
    "vram_gb": integer,
    "min_gpu_vram_gb": integer,
    "avg_price_sar_per_min": number,
}
MODELS: Json = {"object": text, "models": [MODEL_ROW], "data": [MODEL_ROW], "total": integer}
PRICING: Json = {
    "success": flag,
    "pricing": [{"job_type": text, "rate_halala_per_minute": integer, "rate_sar_per_hour": number}],
    "class_multipliers": {"priority": number, "standard": number, "economy": number},
    "platform_fee_bps": integer,
    "count": integer,
    "timestamp": time,
}
IMAGES: Json = {
    "images": [text],
    "details": [{"id": integer, "image_ref": text, "image_type": text, "description": text, "approved_at": time}],
    "total": integer,
}
TEMPLATES: Json = {
    "templates": [
        {
            "id": text,
            "name": text,
            "description": text,
            "job_type": text,
            "image_type": text,
            "min_vram_gb": integer,
            "duration_minutes": number,
            "params": free_object,
            "tags": [text],
            "image": text,
            "estimated_price_sar_per_hour": number,
        }
    ],
    "total": integer,
    "count": integer,
}
METRICS: Json = {
    "provider_id": integer,
    "period": text,
    "points": [
        {
            "at": time,
            "gpu_util_pct": or_null(number),
            "temp_c": or_null(number),
            "power_w": or_null(number),
            "free_vram_mib": or_null(number),
        }
    ],
}


@pytest.mark.usefixtures("provider")
@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/providers/available", AVAILABLE),
        ("/providers/models", MODELS),
        ("/models", MODELS),
        ("/vllm/models", MODELS),
        ("/renters/pricing", PRICING),
        ("/containers/registry", IMAGES),
        ("/templates", TEMPLATES),
        ("/templates/python", TEMPLATES["templates"][0]),
        ("/providers/1/metrics", METRICS),
        ("/daemon/latest-version", {"version": text, "min_version": text}),
        ("/providers/download/daemon?check_only=true", {"version": text, "min_version": text, "download_url": text}),
    ],
)
def test_shapes_of_public_answers(rest: Rest, path: str, shape: Json) -> None:
    assert fits(answered(rest.get(path)), shape)


class TestProviders:
    def test_an_empty_market_says_so(self, rest: Rest) -> None:
        body = answered(rest.get("/providers/available"))
        assert show(body, "providers", "total", "online_count", "degraded_count") == {
            "providers": [],
            "total": 0,
            "online_count": 0,
            "degraded_count": 0,
        }
        assert rest.get("/providers/public").json() == []

    def test_those_that_can_be_given_work_most_vram_first(self, market: LocalMarket, provider: PollDaemon) -> None:
        bigger = market.add_provider({"gpu_status": {"gpu_name": "NVIDIA H100", "gpu_vram_mib": 81559}})
        paused = market.add_provider()
        answered(paused.post("/providers/pause", {}))
        market.register_provider()
        body = answered(market.rest.get("/providers/available"))
        assert [row["id"] for row in body["providers"]] == [bigger.id, provider.id]
        assert show(body, "total", "online_count", "degraded_count") == {
            "total": 2,
            "online_count": 2,
            "degraded_count": 0,
        }

    def test_a_silent_one_is_degraded_since_it_was_missed(self, market: LocalMarket, provider: PollDaemon) -> None:
        missed_at = market.now(120)
        market.advance(150, silent=[provider])
        body = answered(market.rest.get("/providers/available"))
        (row,) = body["providers"]
        assert show(row, "status", "is_live", "heartbeat_age_seconds", "degraded_since") == {
            "status": "degraded",
            "is_live": False,
            "heartbeat_age_seconds": 150,
            "degraded_since": missed_at,
        }
        assert show(body, "online_count", "degraded_count") == {"online_count": 0, "degraded_count": 1}
        market.advance(451, silent=[provider])
        assert answered(market.rest.get("/providers/available"))["total"] == 0

    def test_its_record_is_that_of_its_jobs(self, market: LocalMarket, renter: Renter, provider: PollDaemon) -> None:
        for outcome in ({"result": "ok"}, {"error": "broken"}):
            job = renter.submit()
            market.next_job(provider)
            answered(provider.try_result(job["id"], **outcome))
        (row,) = answered(market.rest.get("/providers/available"))["providers"]
        assert show(row, "total_jobs_completed", "job_success_rate", "reputation_tier", "run_mode") == {
            "total_jobs_completed": 1,
            "job_success_rate": 50,
            "reputation_tier": "new",
            "run_mode": "always-on",
        }
        assert row["reputation_score"] == row["reliability_score"] == 35

    def test_prices_are_those_that_jobs_are_billed_at(self, rest: Rest, renter: Renter, provider: PollDaemon) -> None:
        (row,) = answered(rest.get("/providers/available"))["providers"]
        pricing = answered(rest.get("/renters/pricing"))
        rates = {rate["job_type"]: rate["rate_halala_per_minute"] for rate in pricing["pricing"]}
        assert row["cost_rates_halala_per_min"] == rates
        assert row["price_per_hour_sar"] == rates["llm_inference"] * 60 / 100
        for job_type, rate in rates.items():
            assert (
                renter.submit(job_type=job_type, duration_minutes=1, model=MODEL, task_spec={"steps": 1})["cost_halala"]
                == rate
            )

    def test_the_plain_array_may_be_cached(self, rest: Rest, provider: PollDaemon) -> None:
        response = rest.get("/providers/public")
        assert response.status_code == 200
        assert response.headers["cache-control"] == "public, max-age=30"
        assert response.headers["content-type"].split(";")[0] == "application/json"
        (row,) = response.json()
        assert fits(row, ROW)
        (available,) = answered(rest.get("/renters/available-providers"))["providers"]
        assert row == available

    def test_names_come_as_they_are(self, market: LocalMarket) -> None:
        daemon = market.register_provider(name='مزرعة "الرياض" <b>')
        market.admin.approve(daemon.id)
        daemon.heartbeat()
        for path in ("/providers/public", "/api/providers/public", "/api/dc1/providers/public"):
            (row,) = market.rest.get(path).json()
            assert row["name"] == 'مزرعة "الرياض" <b>'


class TestModels:
    def test_models_are_one_whatever_their_case(self, market: LocalMarket, provider: PollDaemon) -> None:
        market.add_provider({"cached_models": [MODEL.upper()], "vllm_models": [MODEL, "bare-model"]})
        market.register_provider()
        body = answered(market.rest.get("/models"))
        assert body["total"] == 2
        assert body["models"] == [
            {
                "model": MODEL,
                "model_id": MODEL,
                "id": MODEL,
                "display_name": "TinyLlama-1.1B-Chat-v1.0",
                "providers_online": 2,
                "providers_total": 2,
                "providers_count": 2,
                "status": "available",
                "vram_gb": 24,
                "min_gpu_vram_gb": 24,
                "avg_price_sar_per_min": 0.15,
            },
            {
                "model": "bare-model",
                "model_id": "bare-model",
                "id": "bare-model",
                "display_name": "bare-model",
                "providers_online": 1,
                "providers_total": 1,
                "providers_count": 1,
                "status": "available",
                "vram_gb": 0,
                "min_gpu_vram_gb": 0,
                "avg_price_sar_per_min": 0.15,
            },
        ]

    def test_a_model_outlives_its_providers_silence(self, market: LocalMarket, provider: PollDaemon) -> None:
        market.advance(601, silent=[provider])
        (model,) = answered(market.rest.get("/providers/models"))["models"]
        assert show(model, "providers_online", "providers_total") == {"providers_online": 0, "providers_total": 1}
        answered(market.admin.patch("/admin/providers/1/reject", {"reason": "gone"}))
        assert answered(market.rest.get("/providers/models"))["models"] == []


class TestMetrics:
    def test_a_point_is_the_mean_of_its_span(self, market: LocalMarket, provider: PollDaemon) -> None:
        provider.heartbeat({"gpu_status": {"gpu_util_pct": 38, "temp_c": None, "power_w": 300.5}})
        body = answered(market.rest.get("/providers/1/metrics?period=1h"))
        assert show(body, "provider_id", "period") == {"provider_id": 1, "period": "1h"}
        assert body["points"] == [
            {
                "at": "2026-03-22T19:00:00.000Z",
                "gpu_util_pct": 37.5,
                "temp_c": 61,
                "power_w": 300.5,
                "free_vram_mib": None,
            }
        ]

    def test_reports_without_a_reading_make_no_point(self, market: LocalMarket, provider: PollDaemon) -> None:
        market.advance(60)
        provider.heartbeat({"gpu_status": "idle"})
        provider.heartbeat({"gpu_status": {"gpu_util_pct": 999}})
        assert len(answered(market.rest.get("/providers/1/metrics?period=1h"))["points"]) == 1

    @pytest.mark.parametrize(("period", "points"), [("1h", 31), ("6h", 7), ("24h", 3), ("7d", 1)])
    def test_longer_periods_have_longer_spans(
        self, market: LocalMarket, provider: PollDaemon, period: str, points: int
    ) -> None:
        for _ in range(30):
            market.clock.advance(60)
            provider.heartbeat()
        body = answered(market.rest.get("/providers/1/metrics", params={"period": period}))
        assert len(body["points"]) == points
        assert {point["gpu_util_pct"] for point in body["points"]} == {37}

    def test_what_was_measured_outlives_the_server(self, market: LocalMarket, provider: PollDaemon) -> None:
        before = answered(market.rest.get("/providers/1/metrics"))
        market.restart()
        assert answered(market.rest.get("/providers/1/metrics")) == before
        provider.heartbeat({"gpu_status": {"gpu_util_pct": 39}})
        (point,) = answered(market.rest.get("/providers/1/metrics"))["points"]
        assert point["gpu_util_pct"] == 38

    def test_a_week_is_kept(self, market: LocalMarket, provider: PollDaemon) -> None:
        market.clock.advance(7 * 86_400 - 3_600)
        assert len(answered(market.rest.get("/providers/1/metrics?period=7d"))["points"]) == 1
        market.clock.advance(2 * 3_600)
        assert answered(market.rest.get("/providers/1/metrics?period=7d"))["points"] == []

    def test_minutes_are_stored_once_over_and_forgotten_after_a_week(
        self, market: LocalMarket, provider: PollDaemon
    ) -> None:
        def stored() -> int:
            def count(conn: Connection) -> int:
                return len(telemetry.read(conn, provider.id, Period(30 * DAY_MS, MINUTE_MS), market.clock.now_ms()))

            return market.edge.loop.run(market.server.database.read(count))

        assert stored() == 0
        market.clock.advance(60)
        provider.heartbeat()
        eventually(lambda: stored() == 1, "the first minute being stored")
        market.clock.advance(8 * 86_400)
        eventually(lambda: stored() == 1, "the second minute replacing the first")
        provider.heartbeat()
        market.clock.advance(60)
        eventually(lambda: stored() == 1, "the third minute replacing the second")

    def test_a_stream_is_measured_too(self, market: LocalMarket, provider: PollDaemon) -> None:
        market.clock.advance(3600)
        market.connect(provider, {**REPORT, "gpu_status": {"free_vram_mib": 1234.5}})

        def free() -> list[float | None]:
            points = answered(market.rest.get("/providers/1/metrics?period=1h"))["points"]
            return [point["free_vram_mib"] for point in points]

        eventually(lambda: free() == [None, 1234.5], "the beat being counted")

    def test_refusals(self, rest: Rest, provider: PollDaemon) -> None:
        text = "Invalid period. Allowed: 1h, 6h, 24h, 7d"
        for period in ("2h", "1H", "week"):
            refused(rest.get("/providers/1/metrics", params={"period": period}), 400, text, code="INVALID_ENUM")
        for provider_id in ("0", "2", "-1", "nope", "99999999999999999999"):
            refused(rest.get(f"/providers/{provider_id}/metrics"), 404, "Provider not found")


class TestCatalogue:
    def test_default_prices(self, rest: Rest) -> None:
        body = answered(rest.get("/renters/pricing"))
        assert show(body, "success", "count", "platform_fee_bps", "class_multipliers") == {
            "success": True,
            "count": 9,
            "platform_fee_bps": 2500,
            "class_multipliers": {"priority": 1.2, "standard": 1, "economy": 0.9},
        }
        assert [row["job_type"] for row in body["pricing"]] == list(JOB_TYPES)
        assert body["pricing"][4] == {"job_type": "training", "rate_halala_per_minute": 25, "rate_sar_per_hour": 15}

    @pytest.mark.settings(platform_fee_bps=1000, class_multipliers={"priority": 2, "standard": 1, "economy": 0.5})
    def test_prices_of_another_deployment(self, rest: Rest) -> None:
        body = answered(rest.get("/renters/pricing"))
        assert body["platform_fee_bps"] == 1000
        assert body["class_multipliers"] == {"priority": 2, "standard": 1, "economy": 0.5}

    def test_a_listed_image_may_be_named(self, rest: Rest, renter: Renter) -> None:
        body = answered(rest.get("/containers/registry"))
        names = body["images"]
        assert names == sorted(names) == [image["image_ref"] for image in body["details"]]
        assert "docker.io/pytorch/pytorch:2.1.0-cuda11.8-cudnn8-runtime" in names
        assert body["total"] == len(names) > 0
        for name in names:
            renter.submit(job_type="custom_container", container_spec={"image_type": "custom", "image": name})


@pytest.mark.settings(
    daemon_latest_version="v3.4.0-rc.1", daemon_min_version="3.3.0", installer_base_url="https://gpu.example.sa/"
)
def test_the_daemon_to_install(rest: Rest) -> None:
    assert answered(rest.get("/daemon/latest-version")) == {"version": "v3.4.0-rc.1", "min_version": "3.3.0"}
    for query in ("", "?check_only=true"):
        assert answered(rest.get(f"/providers/download/daemon{query}")) == {
            "version": "3.4.0",
            "min_version": "3.3.0",
            "download_url": "https://gpu.example.sa/install.sh",
        }


@pytest.mark.settings(admin_token=None)
@pytest.mark.parametrize("path", ["/providers/available", "/providers/public", "/models", "/renters/pricing"])
def test_nobody_needs_a_key(rest: Rest, path: str) -> None:
    for headers in ({}, {"x-renter-key": "bad"}, {"authorization": "Bearer bad"}):
        assert rest.get(path, headers=headers).status_code == 200


def test_a_price_changes_for_all_at_once(rest: Rest, admin: Admin, renter: Renter) -> None:
    answered(admin.patch("/admin/pricing/llm_inference", {"rate_halala": 30}))
    pricing = answered(rest.get("/renters/pricing"))["pricing"]
    assert {"job_type": "llm_inference", "rate_halala_per_minute": 30, "rate_sar_per_hour": 18} in pricing
    assert renter.submit()["cost_halala"] == 90
