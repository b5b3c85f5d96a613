"""A small HTTP server that answers as it is told and remembers what it was asked."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Request:
    """What a client sent; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Reply:
    """What to answer. A list as body is sent as it stands, piece by piece, and the connection is closed after it."""

    body: Any
    status: int = 200
    media_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class ScriptedServer:
    """Answers each `METHOD /path` with its replies in order, the last one again and again; elsewhere `otherwise`."""

    url: str
    replies: dict[str, list[Reply]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    otherwise: Reply = field(default_factory=lambda: Reply({"error": "Not found"}, 404))

    def on(self, call: str, *replies: Reply) -> None:
        self.replies[call] = list(replies)

    def answer(self, request: Request) -> Reply:
        self.requests.append(request)
        replies = self.replies.get(f"{request.method} {request.path.partition('?')[0]}")
        if not replies:
            return self.otherwise
        return replies.pop(0) if len(replies) > 1 else replies[0]


@contextmanager
def scripted_server() -> Iterator[ScriptedServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            sent = self.rfile.read(length)
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = script.answer(Request(self.command, self.path, headers, json.loads(sent) if sent else None))
            pieces = reply.body if isinstance(reply.body, list) else [as_text(reply.body)]
            self.send_response(reply.status)
            self.send_header("content-type", reply.media_type)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("connection", "close")
            self.end_headers()
            for piece in pieces:
                self.wfile.write(piece.encode())
                self.wfile.flush()

        do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815 -- the names are the base class's

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the name is the base class's
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    script = ScriptedServer(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def as_text(body: Any) -> str:
    return body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
