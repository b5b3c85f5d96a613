"""A small HTTP server that speaks the OpenAI chat protocol as vLLM and llama.cpp do, over a real socket."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

MODEL = "acme/Chat-7B"
MOST_SENT = 256 * 1024 * 1024
"""What counts as endless: a reader that has not left by then never would."""


@dataclass
class OpenAIServer:
    """What it answers, and what it saw."""

    pieces: list[str] = field(default_factory=lambda: ["Hel", "lo ", "بحر"])
    usage: dict[str, int] | None = field(default_factory=lambda: {"prompt_tokens": 7, "completion_tokens": 5})
    refusal: tuple[int, str] | None = None
    retry_after: str | None = None
    breaks_off: bool = False
    error_frame: str | None = None
    finish_reason: str = "stop"
    tool_call_pieces: list[dict[str, Any]] = field(default_factory=list)
    hangs: bool = False
    raw: tuple[bytes, ...] | None = None
    """Sent as it is, a piece at a time, instead of anything else."""
    content_type: str = "text/event-stream"
    stays: bool = False
    """Whether the connection is left open after `raw`."""
    refuses_stream_options: bool = False
    models: Any = field(default_factory=lambda: [{"id": MODEL, "object": "model"}])
    endless: tuple[str, bytes] | None = None
    sent: int = 0
    looks: int = 0
    """How often it was asked for its models."""
    pages: dict[str, str] = field(default_factory=dict)
    """What it says beside the API, by path."""
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    traceparents: list[str | None] = field(default_factory=list)
    client_left: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["OpenAIServer"]:
        server = await asyncio.start_server(self._handle, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield self

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, path, _ = head.split(" ", 2)
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:])
            }
            self.authorizations.append(headers.get("authorization"))
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            if self.endless is not None and path.endswith(self.endless[0].rpartition(" ")[2]):
                # A status and what is sent for as long as somebody reads.
                writer.write(f"HTTP/1.1 {self.endless[0].partition(' ')[0]} X\r\nconnection: close\r\n\r\n".encode())
                while self.sent < MOST_SENT:
                    writer.write(self.endless[1])
                    self.sent += len(self.endless[1])
                    await writer.drain()
            elif (method, path) == ("GET", "/v1/models"):
                self.looks += 1
                self._send(writer, 200, json.dumps({"object": "list", "data": self.models}))
            elif method == "GET" and path in self.pages:
                self._send(writer, 200, self.pages[path])
            elif (method, path) == ("POST", "/v1/chat/completions"):
                self.requests.append(json.loads(body))
                self.traceparents.append(headers.get("traceparent"))
                await self._chat(reader, writer)
            else:
                self._send(writer, 404, "not here")
            await writer.drain()
        except ConnectionError:
            pass  # the client has left
        finally:
            writer.close()

    async def _chat(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusal is not None:
            self._send(writer, *self.refusal, self.retry_after)
            return
        if self.refuses_stream_options and "stream_options" in self.requests[-1]:
            self._send(writer, 400, '{"error": {"message": "Unrecognized request argument: stream_options"}}')
            return
        if self.raw is not None:
            await self._send_raw(reader, writer, self.raw)
            return
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n: hello\n\n")
        for piece in self.pieces:
            self._frame(writer, {"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]})
            await writer.drain()
        for call in self.tool_call_pieces:
            self._frame(writer, {"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}]})
        if self.hangs:
            await reader.read()
            self.client_left.set()
            return
        if self.error_frame is not None:
            self._frame(writer, {"error": {"message": self.error_frame}})
            return
        if self.breaks_off:
            return
        self._frame(writer, {"choices": [{"index": 0, "delta": {}, "finish_reason": self.finish_reason}]})
        if self.usage is not None:
            self._frame(writer, {"choices": [], "usage": self.usage})
        writer.write(b"data: [DONE]\n\n")

    async def _send_raw(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pieces: tuple[bytes, ...]
    ) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: {self.content_type}\r\nconnection: close\r\n\r\n".encode())
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            # Apart, so that the reader has them apart.
            await asyncio.sleep(0.001)
        if self.stays:
            await reader.read()
            self.client_left.set()

    @staticmethod
    def _frame(writer: asyncio.StreamWriter, chunk: dict[str, Any]) -> None:
        writer.write(f"data: {json.dumps(chunk)}\n\n".encode())

    @staticmethod
    def _send(writer: asyncio.StreamWriter, status: int, body: str, retry_after: str | None = None) -> None:
        data = body.encode()
        wait = "" if retry_after is None else f"retry-after: {retry_after}\r\n"
        head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(data)}\r\n{wait}connection: close\r\n\r\n"
        writer.write(head.encode() + data)
