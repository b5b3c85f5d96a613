"""Looks at one thing each, and says in a sentence how it is."""

import shutil
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from dc1.client.calls import http_options
from dc1.proxies import http_proxy

_SECONDS = 10.0
# Signed webhooks and expiring keys are judged by the clock, and five minutes are what verifiers allow.
_MOST_SKEW_SECONDS = 60.0
_DAYS_TO_RENEW = 7
_FREE_GIB = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """How one thing is: `is_good` is None where it could not be looked at, for what it needs is missing."""

    thing: str
    is_good: bool | None
    told: str


def connection(url: str) -> Iterator[Finding]:
    """Look at name, port, encryption, marketplace and clock, as far as one leads to the next."""
    parsed = httpx.URL(url)
    port = parsed.port or (443 if parsed.scheme == "https" else 80)
    # Who has a proxy need not find the marketplace without it.
    is_proxied = http_proxy(parsed.scheme, parsed.host, parsed.port) is not None
    fault, instead = (None, "The proxy is asked for it.") if is_proxied else (False, "A proxy may be needed.")
    try:
        found = socket.getaddrinfo(parsed.host, port, type=socket.SOCK_STREAM)
        yield Finding("DNS", True, f"{parsed.host} is {found[0][4][0]}.")
    except OSError as error:
        yield Finding("DNS", fault, f"{parsed.host} has no address: {error.strerror or error}. {instead}")
        if is_proxied:
            yield from marketplace(url)
        return
    # Directly, without the proxy: whether one is needed is what this tells.
    try:
        with socket.create_connection((parsed.host, port), _SECONDS) as stream:
            yield Finding("port", True, f"{port} is open.")
            if parsed.scheme == "https":
                yield encryption(parsed.host, stream)
    except OSError as error:
        yield Finding("port", fault, f"{port} does not answer: {error.strerror or error}. {instead}")
    yield from marketplace(url)


def encryption(host: str, stream: socket.socket) -> Finding:
    """Look at the certificate behind an open connection."""
    try:
        # What the client trusts, which need not be what this machine does.
        with httpx.create_ssl_context().wrap_socket(stream, server_hostname=host) as encrypted:
            certificate = encrypted.getpeercert() or {}
    except (ssl.SSLError, OSError) as error:
        return Finding("TLS", False, f"{error}. SSL_CERT_FILE can name a certificate to trust.")
    days = (ssl.cert_time_to_seconds(str(certificate["notAfter"])) - time.time()) / 86_400
    return Finding("TLS", days > _DAYS_TO_RENEW, f"The certificate is good for {days:.0f} more days.")


def marketplace(url: str) -> Iterator[Finding]:
    """Look whether a marketplace answers, through the proxy that the environment names, and what its clock says."""
    try:
        with httpx.Client(**http_options(url, {}), timeout=_SECONDS) as client:
            answer = client.get("/health")
    except httpx.HTTPError as error:
        yield Finding("marketplace", False, f"It does not answer: {type(error).__name__}.")
        return
    try:
        status = answer.json()["status"]
    except (ValueError, KeyError, TypeError):
        what = f"Something answers {answer.status_code} that is no dc1 marketplace."
        if answer.is_server_error:
            what = f"A proxy before it answers {answer.status_code}; there may be none behind it now."
        yield Finding("marketplace", False, what)
        return
    yield Finding("marketplace", status == "ok", f"It says that it is {status}.")
    yield clock(answer.headers.get("date", ""), time.time())


def clock(date: str, now: float) -> Finding:
    """Hold this machine's clock against the time of an answer."""
    # The header has whole seconds, and the answer took its time: what is told is right to a second or two.
    try:
        behind = parsedate_to_datetime(date).timestamp() - now
    except ValueError:
        return Finding("clock", None, "The marketplace did not say its time.")
    return Finding("clock", abs(behind) < _MOST_SKEW_SECONDS, f"It is {abs(behind):.0f} s off.")


def disk(where: Path) -> Finding:
    """Look at the room that is left."""
    # A user of the system's may have a home that nobody made.
    where = next((place for place in (where, *where.parents) if place.is_dir()), Path("/"))
    free = shutil.disk_usage(where).free / 2**30
    return Finding("disk", free >= _FREE_GIB, f"{free:.1f} GiB are free at {where}.")
