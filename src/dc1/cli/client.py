"""The REST client behind every command."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from dc1.cli.errors import CommandError, RefusedError
from dc1.proxies import http_proxy
from dc1.secret_files import is_sendable


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer.

    Attributes:
        status: the HTTP status, 200 to 299.
        body: the JSON object.
        text: the same as it came over the wire, for `--json`: parsed and printed anew it could differ.
    """

    status: int
    body: dict[str, Any]
    text: str


class RestClient:
    """Calls the REST routes of one marketplace with one credential.

    Args:
        url: where the marketplace is, for example `http://127.0.0.1:8083`.
        credential: the header that says who calls, for example `{"x-renter-key": "dc1-renter-…"}`; empty for public
            routes.
        timeout_seconds: how long to wait for an answer.

    Every method raises RefusedError for an error answer, and CommandError when there is no usable answer.
    """

    def __init__(self, url: str, credential: Mapping[str, str] | None = None, *, timeout_seconds: float = 30.0) -> None:
        self._url = url.rstrip("/")
        parsed = _parsed(self._url)
        # Headers are ASCII, and what the HTTP library says of others does not help a person.
        if not all(map(is_sendable, (credential or {}).values())):
            raise CommandError("The key or token has characters in it that none has; was it copied as a whole?")
        self._http = httpx.Client(
            base_url=parsed,
            headers={"accept": "application/json", **(credential or {})},
            timeout=timeout_seconds,
            # Reading the trusted certificates takes longer than a call; http has no use for them.
            verify=httpx.create_ssl_context() if parsed.scheme == "https" else False,
            proxy=http_proxy(parsed.scheme, parsed.host, parsed.port),
            # Else the library would read the variables in its own way, and take a password out of ~/.netrc.
            trust_env=False,
        )

    def __enter__(self) -> Self:
        """Return the client; leaving closes its connections."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, **query: str | int | None) -> Answer:
        """Read `path`; a query parameter that is None is left out."""
        return self._call("GET", path, params={name: value for name, value in query.items() if value is not None})

    def post(self, path: str, body: Mapping[str, Any] | None = None, *, idempotency_key: str | None = None) -> Answer:
        """Post a JSON object, with an `Idempotency-Key` where one is given."""
        headers = {"idempotency-key": idempotency_key} if idempotency_key else {}
        return self._call("POST", path, json=dict(body or {}), headers=headers)

    def patch(self, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """Patch with a JSON object."""
        return self._call("PATCH", path, json=dict(body or {}))

    def delete(self, path: str) -> Answer:
        """Delete what is at `path`."""
        return self._call("DELETE", path)

    @contextmanager
    def stream(
        self, path: str, *, query: Mapping[str, str | int], last_event_id: str | None
    ) -> Iterator[httpx.Response]:
        """Open a stream of server-sent events; the silence it allows is three keep-alives long."""
        headers = {"accept": "text/event-stream", "cache-control": "no-store"}
        if last_event_id is not None:
            headers["last-event-id"] = last_event_id
        # In seconds; the server says something at least every 15.
        timeout = httpx.Timeout(10.0, read=45.0)
        with (
            self._said_plainly(),
            self._http.stream("GET", path, params=query, headers=headers, timeout=timeout) as response,
        ):
            if response.is_error:
                response.read()
                raise self._failure(response)
            yield response

    def _call(self, method: str, path: str, **request: Any) -> Answer:
        with self._said_plainly():
            response = self._http.request(method, path, **request)
        if response.is_error:
            raise self._failure(response)
        return Answer(response.status_code, self._object(response), response.text)

    def _failure(self, response: httpx.Response) -> RefusedError:
        return RefusedError(response.status_code, self._object(response))

    def _object(self, response: httpx.Response) -> dict[str, Any]:
        try:
            body = json.loads(response.text)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise CommandError(
                f"{self._url} answered {response.status_code} without a JSON object; is a dc1 marketplace there?"
            )
        return body

    @contextmanager
    def _said_plainly(self) -> Iterator[None]:
        try:
            yield
        # The first of three: when no connection came about, and only then, the call surely had no effect.
        except httpx.ConnectError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise CommandError(
                    f"The certificate of {self._url} is not trusted; SSL_CERT_FILE can name one that is."
                ) from None
            raise UnreachableError(
                f"Nothing answers at {self._url}: start a marketplace with `dc1 up`, or name another one with --url or DC1_URL."
            ) from None
        except httpx.TimeoutException:
            raise ConnectionBrokenError(f"{self._url} did not answer in time.") from None
        except httpx.TransportError as error:
            raise ConnectionBrokenError(f"The connection to {self._url} broke ({type(error).__name__}).") from None


def path(*segments: str | int) -> str:
    """Return the path of these segments, each escaped: `path("jobs", "a/b", "logs")` is `/jobs/a%2Fb/logs`."""
    # The segments are typed by people: `..`, `?` or a slash in an id must not lead to another route.
    return "".join(f"/{quote(str(segment), safe='')}" for segment in segments)


class ConnectionBrokenError(CommandError):
    """The connection broke or fell silent; the call may or may not have had its effect."""


class UnreachableError(ConnectionBrokenError):
    """No connection came about; the call had no effect."""


def _parsed(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL()
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise CommandError(f"{url!r} is not an address like http://127.0.0.1:8083.")
    return parsed
