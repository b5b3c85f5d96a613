"""The address where Prometheus reads: a small HTTP server on threads of its own.

Whoever reads slowly holds up a thread and nothing else; what is read was made before the first byte is sent.
"""

import asyncio
import contextlib
import hmac
import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import structlog
from prometheus_client import disable_created_metrics
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from dc1.metrics.address import MetricsAddress
from dc1.ports import joined, port_obstacle
from dc1.socket_paths import length_obstacle

Page: TypeAlias = Callable[[str], tuple[str, bytes]]
"""Given the `Accept` of who reads, returns the type of a page and the page."""

_log = structlog.get_logger(__name__)

_MOST_READERS = 8
_READER_SECONDS = 10.0
_OWNER_ONLY = 0o600

# A second series for each, of when it began: Prometheus finds that out by itself.
disable_created_metrics()  # type: ignore[no-untyped-call]


class NothingToTellError(Exception):
    """A page cannot be made now; the text says why."""


class MetricsError(Exception):
    """The address cannot be listened on; the text says why."""


def page_of(collector: Collector) -> Page:
    """Return the page of what a collector has, in the form that the reader prefers."""

    def page(accept: str) -> tuple[str, bytes]:
        encoder, content_type = choose_encoder(accept)
        return content_type, encoder(collector)

    return page


class Exposition:
    """Pages by their path, served from `start` to `stop`. Background part of a server, an edge or a daemon."""

    def __init__(
        self, address: MetricsAddress, pages: Mapping[str, Page], setting: str = "DC1_METRICS_ADDRESS"
    ) -> None:
        self._address = address
        self._pages = pages
        self._setting = setting
        self._server: HTTPServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        assert self._server is not None
        return int(self._server.server_address[1])

    async def start(self) -> None:
        """Listen.

        Raises:
            MetricsError: the address is taken or not allowed.
        """
        handler = type("Handler", (_Reader,), {"pages": self._pages, "token": self._address.token})
        try:
            self._server = self._listen(handler)
        except (OSError, UnicodeError) as error:
            raise MetricsError(f"Metrics cannot be served ({self._setting}): {self._obstacle(error)}") from None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="dc1-metrics", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Listen no more; who still reads is cut off."""
        if self._server is None or self._thread is None:
            return
        # On another thread, as the server looks up only now and then.
        await asyncio.to_thread(self._server.shutdown)
        self._thread.join()
        self._server.server_close()
        if self._address.path is not None:
            self._address.path.unlink(missing_ok=True)

    def _listen(self, handler: type[BaseHTTPRequestHandler]) -> HTTPServer:
        path = self._address.path
        if path is None:
            family = socket.AF_INET6 if ":" in self._address.host else socket.AF_INET
            kind = type("Server", (_Server,), {"address_family": family})
            server: HTTPServer = kind((self._address.host, self._address.port), handler)
            return server
        if obstacle := length_obstacle(path, self._setting):
            raise MetricsError(obstacle)
        _remove_stale(path)
        return _UnixServer(path, handler)

    def _obstacle(self, error: Exception) -> str:
        address = self._address
        found = None if address.path else port_obstacle(address.host, address.port, self._setting)
        return found or f"{address.path or joined(address.host, address.port)}: {error}."


class _Reader(BaseHTTPRequestHandler):
    """One connection of whoever reads."""

    pages: Mapping[str, Page]
    token: str | None
    # Of each read and write: nobody may keep a thread for nothing.
    timeout = _READER_SECONDS
    server_version = "dc1"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer with the page that is asked for."""
        if not self._may_read():
            self._answer(HTTPStatus.UNAUTHORIZED, "text/plain", b"The token of this address is missing.\n")
            return
        page = self.pages.get(urlsplit(self.path).path)
        if page is None:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", f"Here are {', '.join(self.pages)}.\n".encode())
            return
        try:
            content_type, body = page(self.headers.get("Accept", ""))
        except NothingToTellError as error:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", f"{error}\n".encode())
        else:
            self._answer(HTTPStatus.OK, content_type, body)

    def _may_read(self) -> bool:
        if self.token is None:
            return True
        brought = self.headers.get("Authorization", "").encode("latin-1", "replace")
        return hmac.compare_digest(brought, f"Bearer {self.token}".encode())

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        # Who hangs up has no need of the rest.
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            if status is HTTPStatus.UNAUTHORIZED:
                self.send_header("WWW-Authenticate", "Bearer")
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        """Log nothing: a line every fifteen seconds would say that all is well."""


class _Server(socketserver.ThreadingMixIn, HTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, address: Any, handler: type[BaseHTTPRequestHandler]) -> None:
        self._places = threading.BoundedSemaphore(_MOST_READERS)
        super().__init__(address, handler)

    def server_bind(self) -> None:
        # HTTPServer's own would look the host's name up, which may take long and is shown to nobody.
        socketserver.TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        # More than a few read by mistake, or to do harm.
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say what a page could not be made of; a reader that left in the middle is nobody's concern."""
        if not isinstance(sys.exception(), OSError):
            _log.exception("metrics_page_failed")


class _UnixServer(_Server):
    address_family = socket.AF_UNIX

    def __init__(self, path: Path, handler: type[BaseHTTPRequestHandler]) -> None:
        self._path = path
        super().__init__(str(path), handler)

    def server_bind(self) -> None:
        self.allow_reuse_address = False
        super().server_bind()
        # Before it listens: nobody else has come in until then.
        self._path.chmod(_OWNER_ONLY)

    def get_request(self) -> tuple[Any, Any]:
        # Such a peer has no address, and the handler reads one.
        request, _ = super().get_request()
        return request, ("unix", 0)


def _remove_stale(path: Path) -> None:
    """Remove the socket that a killed process left; one that answers is another's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        if path.is_socket() and probe.connect_ex(str(path)) != 0:
            path.unlink()


def several(*collectors: Collector) -> Collector:
    """Return one collector of what several have."""
    return _Several(collectors)


class _Several(Collector):
    def __init__(self, collectors: tuple[Collector, ...]) -> None:
        self._collectors = collectors

    def collect(self) -> Iterator[Any]:
        for collector in self._collectors:
            yield from collector.collect()
