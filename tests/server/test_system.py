"""The routes about the service itself."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from google.api import httpbody_pb2

from dc1.assets import asset
from dc1.domain.errors import ApiError
from dc1.services.api.call import ANYBODY, Call, enter
from dc1.services.system import system
from dc1.services.system.system import SystemServicer, Vitals
from dc1.testing.clock import ManualClock
from dcp.v1.system_service_pb2 import GetDocumentationRequest, GetHealthRequest, GetOpenApiRequest, GetServiceRequest
from tests.server.harness import START_MS


def servicer(read_vitals: Callable[[], Awaitable[Vitals]]) -> SystemServicer:
    return SystemServicer(ManualClock(START_MS), "1.2.3", read_vitals, b"openapi: 3.1.0\n", "https://gpu.example.sa")


async def healthy() -> Vitals:
    return Vitals(providers_total=3, providers_online=2, jobs_queued=1, jobs_running=4)


async def broken() -> Vitals:
    raise ConnectionError("password=hunter2")


async def stuck() -> Vitals:
    await asyncio.Event().wait()
    raise AssertionError


async def test_it_names_itself() -> None:
    answer = await servicer(healthy).GetService(GetServiceRequest(), None)
    assert (answer.service, answer.version, answer.status, answer.docs) == ("dc1", "1.2.3", "ok", "/docs/openapi.yaml")
    assert answer.timestamp == "2026-03-22T19:00:00.000Z"


async def test_health_counts() -> None:
    answer = await servicer(healthy).GetHealth(GetHealthRequest(), None)
    assert (answer.status, answer.db) == ("ok", "ok")
    assert (answer.providers.total, answer.providers.online) == (3, 2)
    assert (answer.jobs.queued, answer.jobs.running) == (1, 4)


@pytest.mark.parametrize("read_vitals", [broken, stuck])
async def test_without_a_database_it_is_degraded(
    read_vitals: Callable[[], Awaitable[Vitals]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dc1.services.system.system._PATIENCE_SECONDS", 0.05)
    with pytest.raises(ApiError) as caught:
        await servicer(read_vitals).GetHealth(GetHealthRequest(), None)
    assert caught.value.status == 503
    assert caught.value.body() == {"error": "Database does not answer", "code": "UNAVAILABLE", "status": "degraded"}


async def test_the_openapi_file_is_sent_as_it_is() -> None:
    answer = await servicer(healthy).GetOpenApi(GetOpenApiRequest(), None)
    assert (answer.content_type, answer.data) == ("application/yaml", b"openapi: 3.1.0\n")


def test_assets_are_found_in_a_checkout() -> None:
    assert asset("gen/openapi.yaml").read_text().startswith("openapi: 3")
    with pytest.raises(FileNotFoundError):
        asset("gen/nothing.yaml")


async def test_the_page_is_made_once_for_all_who_ask_first(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bytes] = []

    def make(openapi: bytes, language: str, script: str) -> bytes:
        made.append(openapi)
        return b"a page"

    monkeypatch.setattr(system, "documentation_page", make)
    served = servicer(healthy)

    async def ask() -> httpbody_pb2.HttpBody:
        enter(Call("/dcp.v1.SystemService/GetDocumentation", ANYBODY, "1", "203.0.113.7", is_rest=True, metadata={}))
        return await served.GetDocumentation(GetDocumentationRequest(), None)

    impatient = asyncio.create_task(ask())
    others = [asyncio.create_task(ask()) for _ in range(20)]
    await asyncio.sleep(0)
    # Who made it begin leaves, and the others have their page.
    impatient.cancel()
    assert {answer.data for answer in await asyncio.gather(*others)} == {b"a page"}
    assert len(made) == 1
