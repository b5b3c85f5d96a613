"""An HTTPS server that webhooks are sent to."""

import ssl
import threading
from collections import deque
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from dc1.testing.rest import Json
from dc1.testing.waiting import eventually

CERTIFICATE = Path(__file__).with_name("tls") / "localhost.pem"


@dataclass(frozen=True)
class Received:
    """One request, as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """Answers as `answers` say, one after the other, then with 200; `silent` requests are never answered."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: deque[tuple[int, dict[str, str]]] = deque()
        self.silence = threading.Event()
        self.silence.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.received.append(Received(self.path, headers, body))
                receiver.silence.wait(20)
                status, headers = receiver.answers.popleft() if receiver.answers else (200, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name for it
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE, CERTIFICATE.with_suffix(".key"))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"https://localhost:{self._server.server_address[1]}/hook?room=7"

    def wait(self, count: int) -> list[Received]:
        """The requests, of which there must be this many before long."""
        eventually(lambda: len(self.received) >= count, f"{count} webhooks")
        assert len(self.received) == count, self.received
        return self.received

    def answer(self, status: int, headers: Json | None = None) -> None:
        """Answer the next request without an answer with this."""
        self.answers.append((status, headers or {}))

    def close(self) -> None:
        self.silence.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
