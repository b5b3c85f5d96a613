"""Every route of the OpenAPI document, through Envoy.

Success, no credential, wrong ones, a stranger's object, bad input.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from dc1.testing.market import LocalMarket
from dc1.testing.rest import Json
from tests.contract.calls import CALLS, Call
from tests.contract.expect import refused
from tests.contract.scene import NOBODY, Scene, Still
from tests.support.openapi import document

DOCUMENT = document()
SCHEMES = ("adminToken", "renterKey", "providerKey")
IDS = {
    "{job_id}": "999999",
    "{renter_id}": "999999",
    "{provider_id}": "999999",
    "{entry_id}": "999999",
    "{channel_id}": "999999",
} | dict.fromkeys(("{key_id}", "{withdrawal_id}", "{job_type}", "{delivery_id}"), "nobodys")
SCALARS = {"string", "integer", "number", "boolean", "null"}


@dataclass(frozen=True)
class Route:
    """One path and verb of the document, with its entry in the table."""

    verb: str
    path: str
    operation: Json

    def __str__(self) -> str:
        return f"{self.verb} {self.path}"

    @property
    def name(self) -> str:
        return re.sub(r"_\d+$", "", self.operation["operationId"])

    @property
    def call(self) -> Call:
        return CALLS[self.name]

    @property
    def callers(self) -> list[str]:
        """The security schemes of the roles that may call; none for what is open to anybody."""
        named = {name for option in self.operation["security"] for name in option}
        return [scheme for scheme in SCHEMES if scheme in named]

    @property
    def successes(self) -> list[int]:
        return [int(status) for status in self.operation["responses"] if int(status) < 300]

    @property
    def body(self) -> Json:
        """The schema of the request body, empty without one."""
        content = self.operation.get("requestBody", {}).get("content", {})
        schema: Json = content.get("application/json", {}).get("schema", {})
        name = schema.get("$ref", "").rpartition("/")[2]
        return DOCUMENT["components"]["schemas"][name] if name else schema

    def parameters(self, place: str) -> list[Json]:
        return [one for one in self.operation.get("parameters", ()) if one["in"] == place]

    def ask(
        self,
        market: LocalMarket,
        scene: Scene,
        headers: dict[str, str] | None = None,
        *,
        path: str | None = None,
        **changes: Any,
    ) -> httpx.Response:
        """The table's call with these headers; `path` in place of the one about the scene's objects."""
        said = self.call.json(scene)
        file = self.call.file
        body = {"data": said, "files": {"file": ("a", file)}} if file else {"json": said}
        sent: dict[str, Any] = {"params": self.call.query, **body, **changes}
        target = path or scene.fill(self.path, self.call.job)
        return market.rest.rest(self.verb, target, headers=headers, **sent)


ROUTES = [
    Route(verb.upper(), path, operation) for path, item in DOCUMENT["paths"].items() for verb, operation in item.items()
]


def cases(routes: list[Route]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("route", routes, ids=str)


@pytest.fixture(scope="module")
def scene(quiet_market: LocalMarket) -> Scene:
    """One for all refusals."""
    return Still(quiet_market)


def test_the_table_has_the_operations_of_the_document() -> None:
    assert {route.name for route in ROUTES} == set(CALLS)


@cases(ROUTES)
def test_success(quiet_market: LocalMarket, route: Route) -> None:
    for caller in route.callers or [NOBODY]:
        fresh = Scene(quiet_market, route.call.provider)
        response = route.ask(quiet_market, fresh, fresh.credential(caller))
        assert response.status_code in route.successes, (caller, response.text)
        assert response.status_code != 202, "not what the route is for"


@cases([route for route in ROUTES if route.callers])
def test_no_credential(quiet_market: LocalMarket, scene: Scene, route: Route) -> None:
    response = route.ask(quiet_market, scene)
    if route.name == "Heartbeat":
        refused(response, 400, "api_key required")
    else:
        refused(response, 401)


def wrong_headers(route: Route, scene: Scene) -> Iterator[dict[str, str]]:
    """Credentials of every role that the route does not admit, and bad ones of those that it does, by every carrier."""
    headers = {"adminToken": "x-admin-token", "renterKey": "x-renter-key", "providerKey": "x-provider-key"}
    for scheme in SCHEMES:
        if scheme in route.callers:
            yield {headers[scheme]: "nobodys"}
        else:
            yield scene.credential(scheme)
            yield {"authorization": f"Bearer {scene.key(scheme)}"}
            yield {headers[route.callers[0]]: scene.key(scheme)}
    yield {"authorization": "Bearer nobodys"}


@cases([route for route in ROUTES if route.callers])
def test_wrong_credentials(quiet_market: LocalMarket, scene: Scene, route: Route) -> None:
    path = scene.fill(route.path)
    for headers in wrong_headers(route, scene):
        response = route.ask(quiet_market, scene, headers, path=path)
        # A heartbeat's missing key is a missing field; who submits with a bad key is forbidden to.
        expected = {"Heartbeat": (400, 401), "SubmitJob": (401, 403)}.get(route.name, (401,))
        assert response.status_code in expected, (headers, response.text)


@cases([route for route in ROUTES if any(name in route.path for name in IDS)])
def test_an_object_that_nobody_has(quiet_market: LocalMarket, scene: Scene, route: Route) -> None:
    path = route.path.replace("{format}", "png")
    for name, value in IDS.items():
        path = path.replace(name, value)
    for caller in route.callers or [NOBODY]:
        response = route.ask(quiet_market, scene, scene.credential(caller), path=path)
        # `:id` of one's own account: whoever is not it is a stranger before the object is looked for.
        assert response.status_code == 404 or (caller != "adminToken" and response.status_code == 403), response.text


@cases([route for route in ROUTES if any(name in route.path for name in IDS) and route.callers != ["adminToken"]])
def test_a_strangers_object(quiet_market: LocalMarket, scene: Scene, route: Route) -> None:
    path, stranger = scene.fill(route.path), Scene(quiet_market)
    for caller in route.callers:
        if caller != "adminToken":
            response = route.ask(quiet_market, stranger, stranger.credential(caller), path=path)
            assert response.status_code in (403, 404), response.text


def bad_inputs(route: Route, good: Json) -> Iterator[dict[str, Any]]:
    """What no route that takes such input may accept."""
    body = route.body
    if body:
        yield {"json": None, "content": b'{"a":'}
        yield {"json": None, "content": b"[1]"}
    if body.get("required"):
        yield {"json": {}}
    for name, schema in body.get("properties", {}).items():
        kinds = schema.get("type", [])
        if kinds and ({kinds} if isinstance(kinds, str) else set(kinds)) <= SCALARS:
            yield {"json": {**good, name: {"a": 1}}}
    for parameter in route.parameters("query"):
        schema = parameter["schema"]
        if schema["type"] in ("integer", "boolean") or "enum" in schema:
            yield {"params": {parameter["name"]: "nonsense"}}


@cases([route for route in ROUTES if "parameters" in route.operation or route.body])
def test_bad_input(quiet_market: LocalMarket, scene: Scene, route: Route) -> None:
    headers = scene.credential((route.callers or [NOBODY])[0])
    path = scene.fill(route.path)
    malformed = refused(route.ask(quiet_market, scene, headers, path=f"{path}?a=%ff", params=None), 400)
    assert malformed["error"] == "Malformed URL" or malformed["error"]["message"] == "Malformed URL"
    for changes in bad_inputs(route, route.call.json(scene) or {}):
        response = route.ask(quiet_market, scene, headers, path=path, **changes)
        assert response.status_code == 400, (changes, response.text)
