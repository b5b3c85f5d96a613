"""Calls and answers as values, the same for both kinds of client."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

from dc1.client.errors import (
    ClientError,
    ConfigurationError,
    ConnectionBrokenError,
    MissingFieldError,
    NoMarketplaceError,
    RefusedError,
    UnreachableError,
    refusal,
)
from dc1.proxies import http_proxy

_EVENTS = "text/event-stream"
_SERVERS = 500
_SAID_BEFORE = frozenset({413, 429})
"""What a proxy says of itself: a body is more than it passes on, or somebody calls too often."""
# In seconds; the server says something at least every 15.
_STREAM_TIMEOUT = httpx.Timeout(10.0, read=45.0)


class Fields(dict[str, Any]):
    """An object of an answer, which says in a sentence what it does not have."""

    def __missing__(self, name: str) -> Any:
        """Raise the error that tells a person of it, a `KeyError` too."""
        raise MissingFieldError(name)


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer.

    Attributes:
        status: the HTTP status, 200 to 299.
        body: the JSON object.
        text: the same as it came over the wire: parsed and printed anew it could differ.
    """

    status: int
    body: dict[str, Any]
    text: str


@dataclass(frozen=True, slots=True)
class HttpCall:
    """One call, which may be sent several times.

    Attributes:
        is_repeatable: whether it has its effect once however often it arrives.
        timeout_seconds: how long the call may take, however often it is sent.
        ends_at: when nobody waits for the answer any more, by `time.monotonic()`.
    """

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_repeatable: bool = False
    timeout_seconds: float = 30.0
    ends_at: float = math.inf

    @property
    def options(self) -> dict[str, Any]:
        """The call as the HTTP library takes it."""
        query = {name: value for name, value in self.query.items() if value is not None}
        body = {} if self.body is None else {"json": dict(self.body)}
        # A whole address, of an answer perhaps, would be told the key.
        if not self.path.startswith("/"):
            raise ConfigurationError(f"{self.path!r} is not a path of a marketplace, which begins with a slash.")
        return {"method": self.method, "url": self.path, "params": query, "headers": dict(self.headers), **body}

    def streamed(self) -> dict[str, Any]:
        """Return the options of a call whose answer comes bit by bit, with silences of up to three keep-alives."""
        headers = {"accept": _EVENTS, "cache-control": "no-store", **self.headers}
        return {**self.options, "headers": headers, "timeout": _STREAM_TIMEOUT}


def reading(path: str, query: Mapping[str, Any], timeout_seconds: float, *, ends_at: float = math.inf) -> HttpCall:
    """Return a call that changes nothing."""
    return HttpCall("GET", path, query, is_repeatable=True, timeout_seconds=timeout_seconds, ends_at=ends_at)


def keyed(idempotency_key: str | None) -> dict[str, str]:
    """Return the header with which a call takes effect once; a key is made where none is given."""
    return {"idempotency-key": idempotency_key or uuid.uuid4().hex}


def path(*segments: str | int) -> str:
    """Return the path of these segments, each escaped: `path("jobs", "a/b", "logs")` is `/jobs/a%2Fb/logs`."""
    # The segments are typed by people: `..`, `?` or a slash in an id must not lead to another route.
    return "".join(f"/{quote(str(segment), safe='')}" for segment in segments)


def http_options(url: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """Return how the HTTP library reaches a marketplace; a `url` that is no address of one is refused."""
    parsed = _parsed(url)
    proxy = http_proxy(parsed.scheme, parsed.host, parsed.port)
    _require_usable(proxy)
    return {
        "base_url": parsed,
        "headers": {"accept": "application/json", **headers},
        # Reading the trusted certificates takes longer than a call; http has no use for them.
        "verify": httpx.create_ssl_context() if parsed.scheme == "https" else False,
        "proxy": proxy,
        # Else the library would read the variables in its own way, and take a password out of ~/.netrc.
        "trust_env": False,
    }


def answer_of(url: str, response: httpx.Response) -> Answer:
    """Return a successful answer, and raise what is none as an error."""
    if not response.is_success:
        raise refused(url, response)
    return Answer(response.status_code, _object(url, response), response.text)


def refused(url: str, response: httpx.Response) -> RefusedError:
    """Return the error of a response that was read.

    Raises:
        NoMarketplaceError: it is none of a marketplace.
    """
    if response.is_redirect:
        # Not followed: who answers there would be told the key, and a POST would become a GET.
        raise NoMarketplaceError(f"{url} answered {response.status_code}, which leads elsewhere; name that address.")
    status = response.status_code
    body = _parsed_object(response)
    if body is None and (status in _SAID_BEFORE or status >= _SERVERS):
        # A page of a proxy's, while there is no marketplace behind it or it lets nothing through to it.
        return refusal(status, {"error": "Something before the marketplace answered in its place"}, response.headers)
    return refusal(status, _object(url, response), response.headers)


def is_event_stream(response: httpx.Response) -> bool:
    """Tell whether a response is a stream of server-sent events."""
    return response.is_success and response.headers.get("content-type", "").startswith(_EVENTS)


def no_stream(url: str, response: httpx.Response) -> ClientError:
    """Return the error of a response that was read, where a stream was asked for."""
    if response.is_success:
        # Not as a broken connection: it would be opened again and again, and never be one.
        return NoMarketplaceError(f"{url} answered {response.status_code} without events; is a dc1 marketplace there?")
    return refused(url, response)


@contextmanager
def put_together() -> Iterator[None]:
    """Raise as an error of ours what keeps a call from being put together: text or numbers that cannot be sent."""
    try:
        yield
    except (httpx.InvalidURL, ValueError) as error:
        raise ConfigurationError(f"The call cannot be sent: {error}.") from None


@contextmanager
def said_plainly(url: str) -> Iterator[None]:
    """Raise what the HTTP library raises as an error of ours."""
    try:
        yield
    # The first of three: when no connection came about, and only then, the call surely had no effect.
    except httpx.ConnectError as error:
        raise _unreachable(url, str(error)) from None
    except httpx.TimeoutException:
        raise ConnectionBrokenError(f"{url} did not answer in time.") from None
    except httpx.RequestError as error:
        raise ConnectionBrokenError(f"The connection to {url} broke ({type(error).__name__}).") from None


def _unreachable(url: str, why: str) -> ClientError:
    if "CERTIFICATE_VERIFY_FAILED" in why:
        return ConfigurationError(f"The certificate of {url} is not trusted; SSL_CERT_FILE can name one that is.")
    return UnreachableError(
        f"Nothing answers at {url}: start a marketplace with `dc1 up`, or name another one with --url or DC1_URL."
    )


def _object(url: str, response: httpx.Response) -> dict[str, Any]:
    body = _parsed_object(response)
    if body is None:
        raise NoMarketplaceError(
            f"{url} answered {response.status_code} without a JSON object; is a dc1 marketplace there?"
        )
    return body


def _parsed_object(response: httpx.Response) -> dict[str, Any] | None:
    try:
        body = json.loads(response.text, object_hook=Fields)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _require_usable(proxy: str | None) -> None:
    try:
        is_usable = proxy is None or httpx.URL(proxy).scheme in {"http", "https"}
    except httpx.InvalidURL:
        is_usable = False
    if not is_usable:
        # Without the address, which may hold a password.
        raise ConfigurationError("The proxy that HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names is none of http or https.")


def _parsed(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
        # As the resolver will have it, which does not say what is wrong.
        parsed.raw_host.decode().encode("idna")
    except (httpx.InvalidURL, UnicodeError):
        parsed = httpx.URL()
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ConfigurationError(f"{url!r} is not an address like http://127.0.0.1:8083.")
    return parsed
