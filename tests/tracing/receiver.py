"""Who takes traces: a server that speaks OTLP over HTTP, as collectors do."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Span:
    """A span as it was sent; ids are in hex."""

    name: str
    trace: str
    id: str
    parent: str
    facts: dict[str, Any]
    error: str


class Receiver(ThreadingHTTPServer):
    """Keeps every span that it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.spans: list[Span] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def take(self, body: bytes) -> None:
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in of_resource.scope_spans:
                for each in scope.spans:
                    facts = {one.key: one.value.string_value or one.value.int_value for one in each.attributes}
                    ids = each.trace_id.hex(), each.span_id.hex(), each.parent_span_id.hex()
                    self.spans.append(Span(each.name, *ids, facts, each.status.message))

    def of(self, trace: str) -> dict[str, Span]:
        """The spans of a trace by name, the last of each."""
        return {span.name: span for span in self.spans if span.trace == trace}


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.take(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield receiver
    finally:
        receiver.shutdown()
        thread.join()
        receiver.server_close()
