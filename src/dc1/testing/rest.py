"""A REST client that holds every refusal it sees to the contract's shape."""

import ssl
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, TypeAlias

import httpx

Json: TypeAlias = dict[str, Any]

_HEADERS = {"dc1-renter-": "x-renter-key", "dc1-sk-": "x-renter-key", "dc1-provider-": "x-provider-key"}


def credential(key: str) -> dict[str, str]:
    """Return the role header that carries `key`; what has no prefix of ours is an admin token."""
    for prefix, header in _HEADERS.items():
        # By its prefix, as the server tells a Bearer value apart (contract 1.2); an admin's token is free text.
        if key.startswith(prefix):
            return {header: key}
    return {"x-admin-token": key}


@cache
def no_certificates() -> ssl.SSLContext:
    """Return what a client verifies with that has nothing to verify."""
    # One for all: nothing that they call is encrypted, and to make one takes 4 ms of a core.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Rest:
    """A client of one base URL, for anybody's calls."""

    def __init__(self, url: str) -> None:
        self.url = url
        # Nothing here is encrypted, and loading the machine's certificates takes longer than most tests.
        self._client = httpx.Client(base_url=url, timeout=60, verify=no_certificates(), trust_env=False)

    def rest(
        self, method: str, path: str, *, key: str | None = None, headers: dict[str, str] | None = None, **body: Any
    ) -> httpx.Response:
        """Call with `key` in its role header; `json=`, `content=` and `params=` are httpx's."""
        response = self._client.request(method, path, headers=_headers(key, headers), **body)
        # On every answer of every test, so that no refusal anywhere can leak or lose its shape unseen.
        check_refusal(response)
        return response

    def stream(
        self,
        path: str,
        *,
        method: str = "GET",
        key: str | None = None,
        headers: dict[str, str] | None = None,
        **call: Any,
    ) -> AbstractContextManager[httpx.Response]:
        """Read a path whose answer comes bit by bit."""
        return self._client.stream(method, path, headers=_headers(key, headers), **call)

    def get(self, path: str, **call: Any) -> httpx.Response:
        """Call GET."""
        return self.rest("GET", path, **call)

    def post(self, path: str, json: Any = None, **call: Any) -> httpx.Response:
        """Call POST with a JSON body."""
        return self.rest("POST", path, json=json, **call)

    def patch(self, path: str, json: Any = None, **call: Any) -> httpx.Response:
        """Call PATCH with a JSON body."""
        return self.rest("PATCH", path, json=json, **call)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _headers(key: str | None, headers: dict[str, str] | None) -> dict[str, str]:
    return (credential(key) if key is not None else {}) | (headers or {})


def check_refusal(response: httpx.Response) -> None:
    """Hold a refusal to the contract: `{"error": "text"}` in JSON, and not a word of how it came about.

    Paths under /v1 have the envelope of the OpenAI API instead, and are left out.
    """
    if response.status_code < 400 or response.request.url.path.startswith("/v1/"):
        return
    assert response.headers["content-type"].split(";")[0] == "application/json", (response.status_code, response.text)
    body = response.json()
    assert isinstance(body, dict), body
    if response.status_code == 410:  # the output of a job that has none; its `error` is the job's own
        return
    assert isinstance(body["error"], str), body
    assert body["error"], body
    assert "Traceback" not in response.text
    assert not [name for name in response.headers if name.startswith(("grpc-", "x-error-body", "x-http-status"))]
