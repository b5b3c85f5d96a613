"""An inference engine whose answers come when the test says so."""

import json
import queue
import select
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "acme/Chat-7B"
SILENCE = "Say nothing yet"

NOT_THAT = b"HTTP/1.1 400 X\r\ncontent-length: 0\r\n\r\n"

_POLL_SECONDS = 0.02

Answers = Callable[[str, Any], tuple[int, str, Iterable[bytes]]]
"""Makes status, content type and pieces of the answer to what is sent to a path: an object, or the bytes of a form."""


class Answering:
    """A chat request that waits for its answer, of which `asked` is what was said last."""

    def __init__(self, asked: str) -> None:
        self.asked = asked
        self._answer: str | None = None
        self._decided = threading.Event()
        self.abandoned = threading.Event()
        """Set once the caller has hung up before the answer came."""

    def answer(self, text: str) -> None:
        """Let the answer end with `text`."""
        self._answer = text
        self._decided.set()

    def wait(self, caller: socket.socket) -> str | None:
        """The rest of the answer, or None when the caller does not wait for it any more."""
        while not self._decided.wait(_POLL_SECONDS):
            readable, _, _ = select.select([caller], [], [], 0)
            if readable and not caller.recv(1, socket.MSG_PEEK):
                self.abandoned.set()
                return None
        return self._answer


class Engine:
    """An OpenAI-compatible server. Each chat sends one token and then waits; one that asks for SILENCE only waits."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[Answering] = []
        self.bodies: list[bytes] = []
        self.scripted: tuple[str, tuple[bytes, ...]] | None = None
        """Content type and pieces of every answer, instead of one that waits for the test."""
        self.raw: dict[str, tuple[bytes, ...]] = {}
        """What to send instead of an HTTP answer, by what is asked; after an empty piece nothing more comes."""
        self.whole: dict[str, dict[str, bytes]] = {}
        """By other paths that it has, what to answer to a body with such a text in it."""
        self.asked_whole: list[bytes] = []
        self.on: dict[str, dict[str, tuple[bytes, ...]]] = {}
        """By other paths, what to send instead of an HTTP answer to a body with such a text in it."""
        self.answers: Answers | None = None
        """Who answers everything at once, instead of the test."""
        self._arrived: queue.SimpleQueue[Answering] = queue.SimpleQueue()

    def next_request(self, seconds: float = 30) -> Answering:
        """The next chat, which has begun."""
        return self._arrived.get(timeout=seconds)

    def begin(self, asked: str) -> Answering:
        request = Answering(asked)
        self.requests.append(request)
        self._arrived.put(request)
        return request

    @classmethod
    @contextmanager
    def serving(cls) -> Iterator["Engine"]:
        server = _Server(("127.0.0.1", 0), _Handler)
        server.daemon_threads = True
        engine = cls(f"http://127.0.0.1:{server.server_port}")
        _engines[server.server_port] = engine
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": _POLL_SECONDS}, daemon=True)
        thread.start()
        try:
            yield engine
        finally:
            for request in engine.requests:
                request.answer("")
            server.shutdown()
            server.server_close()
            thread.join()
            del _engines[server.server_port]


_engines: dict[int, Engine] = {}


class _Server(ThreadingHTTPServer):
    # For bursts of calls: by default five connections wait.
    request_queue_size = 256


class _Handler(BaseHTTPRequestHandler):
    server: ThreadingHTTPServer

    def do_GET(self) -> None:
        body = json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model"}]}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        engine = _engines[self.server.server_port]
        sent = self.rfile.read(int(self.headers["content-length"]))
        if engine.answers is not None:
            is_json = "json" in self.headers.get("content-type", "")
            self._send(*engine.answers(self.path, json.loads(sent) if is_json else sent))
            return
        if self.path in engine.on:
            engine.asked_whole.append(sent)
            found = next((name for name in engine.on[self.path] if name.encode() in sent), None)
            # What asks for nothing that is known asks whether the path is there.
            self._raw(engine, found or "", engine.on[self.path][found] if found else (NOT_THAT,))
            return
        if self.path in engine.whole:
            engine.asked_whole.append(sent)
            self._whole(engine.whole[self.path], sent)
            return
        if self.path != "/v1/chat/completions":
            self.send_error(404)
            return
        engine.bodies.append(sent)
        asked = json.loads(sent)["messages"][-1]["content"]
        if isinstance(asked, str) and asked in engine.raw:
            self._raw(engine, asked, engine.raw[asked])
            return
        content_type, pieces = engine.scripted or ("text/event-stream", ())
        if engine.scripted is not None:
            self._send(200, content_type, pieces)
            return
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.end_headers()
        try:
            if asked != SILENCE:
                self._token("So: ")
            rest = engine.begin(asked).wait(self.connection)
            if rest is not None:
                self._token(rest)
                self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            return  # the daemon was killed

    def _whole(self, answers: dict[str, bytes], sent: bytes) -> None:
        # What asks for nothing that is known asks whether the path is there.
        said = answers.get(next((name for name in answers if name.encode() in sent), ""), b"")
        self.send_response(200 if said else 400)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def _send(self, status: int, content_type: str, pieces: Iterable[bytes]) -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.end_headers()
        try:
            for piece in pieces:
                self.wfile.write(piece)
                self.wfile.flush()
        except OSError:
            return  # the caller has heard enough

    def _raw(self, engine: Engine, asked: str, pieces: Iterable[bytes]) -> None:
        self.close_connection = True
        try:
            for piece in pieces:
                if not piece:
                    engine.begin(asked).wait(self.connection)
                self.wfile.write(piece)
                self.wfile.flush()
        except OSError:
            return  # the daemon has heard enough

    def _token(self, text: str) -> None:
        chunk: dict[str, Any] = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Say nothing."""
