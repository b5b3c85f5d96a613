"""A stranger who floods an edge, in a process of its own: `python -m tests.edge.floods.flood KIND PORT SECONDS`."""

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import hpack
import httpx
from google.protobuf.struct_pb2 import Value
from grpc_health.v1 import health_pb2, health_pb2_grpc

from dc1.domain.access.keys import KeyRole, new_key
from dcp.v1 import provider_service_pb2

MEBIBYTE = 1024 * 1024
STRANGER = "203.0.113.7"
METADATA = (("x-forwarded-for", STRANGER),)


def calls(port: int, ends: float) -> None:
    """Ask for a balance without a key, again and again."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=dict(METADATA), timeout=20) as client:
        while time.monotonic() < ends:
            client.get("/renters/balance")


def unfinished(port: int, ends: float) -> None:
    """Begin bodies and end none."""
    opened: list[socket.socket] = []
    paths = ("/renters/register", "/jobs/submit", "/providers/job-result", "/nothing")
    while time.monotonic() < ends and len(opened) < 10:
        connection = socket.create_connection(("127.0.0.1", port), timeout=2)
        head = f"POST {paths[len(opened) % 4]} HTTP/1.1\r\nhost: a\r\nx-forwarded-for: {STRANGER}\r\n"
        with contextlib.suppress(OSError):
            connection.sendall(head.encode() + b"transfer-encoding: chunked\r\n\r\na00000\r\n" + b" " * (9 * MEBIBYTE))
        opened.append(connection)
    time.sleep(max(0.0, ends - time.monotonic()))


def made_up_keys(port: int, ends: float) -> None:
    """Ask for a balance, and for what everybody may read, each time with another key that has the form of one."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=dict(METADATA), timeout=20) as client:
        while time.monotonic() < ends:
            key = {"x-renter-key": new_key(KeyRole.RENTER).key}
            client.get("/renters/balance", headers=key)
            client.get("/providers/available", headers=key)


def unfinished_with_keys(port: int, ends: float) -> None:
    """Begin 200 bodies and messages with made-up keys and end none."""
    opened: list[socket.socket] = []
    paths = (
        *("/renters/register", "/providers/register", "/jobs/submit", "/providers/job-result"),
        *("/dcp.v1.ProviderService/RegisterProvider", "/dcp.v1.JobService/SubmitJob"),
    )
    while time.monotonic() < ends and len(opened) < 50:
        path = paths[len(opened) % 6]
        names = ("host: a", f"x-forwarded-for: {STRANGER}", f"x-renter-key: {new_key(KeyRole.RENTER).key}")
        kind = "application/grpc" if path.startswith("/dcp") else "application/json"
        lines = (
            f"POST {path} HTTP/1.1",
            *names,
            f"content-type: {kind}",
            "transfer-encoding: chunked",
            "",
            "1f0000\r\n",
        )
        connection = socket.create_connection(("127.0.0.1", port), timeout=2)
        # As a message it says that it has 2 MB.
        with contextlib.suppress(OSError):
            connection.sendall("\r\n".join(lines).encode() + b"\0\0\x1e\x84\x80" + b" " * 1_990_000)
        opened.append(connection)
    time.sleep(max(0.0, ends - time.monotonic()))


def results(port: int, ends: float) -> None:
    """Send results of 10 MB without a key."""
    body = b'{"success":true,"result":"' + b"\\n" * (5 * MEBIBYTE - 100) + b'"}'
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=dict(METADATA), timeout=20) as client:
        while time.monotonic() < ends:
            client.post("/providers/job-result", content=body)


def inflated(port: int, ends: float) -> None:
    """Send messages that are small until somebody unpacks them."""
    spec = Value()
    spec.list_value.extend([True] * 1_000_000)
    data = provider_service_pb2.RegisterProviderRequest(resource_spec=spec).SerializeToString()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: Any = channel.unary_unary("/dcp.v1.ProviderService/RegisterProvider")
        while time.monotonic() < ends:
            with contextlib.suppress(grpc.RpcError):
                call(data, metadata=METADATA, compression=grpc.Compression.Gzip)


def watchers(port: int, ends: float) -> None:
    """Watch its health on 500 streams of a connection."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        streams = [stub.Watch(health_pb2.HealthCheckRequest(), metadata=METADATA) for _ in range(125)]
        time.sleep(max(0.0, ends - time.monotonic()))
        for stream in streams:
            stream.cancel()


def native(port: int, ends: float) -> None:
    """Call natively without a key: one method, standard health once and as a stream, and reflection."""
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        call: Any = channel.unary_unary("/dcp.v1.RenterService/GetBalance")
        watch: Any = channel.unary_stream("/grpc.health.v1.Health/Watch")
        reflect: Any = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        check: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
        opened: list[Any] = []
        while time.monotonic() < ends:
            for ask in (call, check):
                with contextlib.suppress(grpc.RpcError):
                    ask(b"", metadata=METADATA, timeout=20)
            if len(opened) < 250:
                opened += [watch(b"", metadata=METADATA), reflect(iter([b":\0"]), metadata=METADATA)]


def many_streams(port: int, ends: float) -> None:
    """Begin 2,000 calls on a connection at once, end none, read nothing, and come again."""
    names = [(":method", "POST"), (":scheme", "http"), (":path", "/providers/register"), (":authority", "a"), *METADATA]
    opened: list[socket.socket] = []
    while time.monotonic() < ends:
        calls = bytearray(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b""))
        head = hpack.Encoder()
        for stream in range(1, 4001, 2):
            calls += frame(1, 4, stream, head.encode(names))
        connection = socket.create_connection(("127.0.0.1", port), timeout=2)
        with contextlib.suppress(OSError):
            connection.sendall(calls)
        opened.append(connection)
        if len(opened) == 5:
            opened.pop(0).close()
        time.sleep(0.5)


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return a frame of HTTP/2."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


KINDS: dict[str, Callable[[int, float], None]] = {
    kind.__name__: kind
    for kind in (
        calls,
        made_up_keys,
        unfinished,
        unfinished_with_keys,
        results,
        inflated,
        watchers,
        native,
        many_streams,
    )
}


def main(kind: str, port: int, seconds: float) -> None:
    """Flood on four connections."""
    # The machine is that of the market as well, and a stranger's would be another.
    os.nice(10)
    ends = time.monotonic() + seconds
    # Whatever hangs ends with the process.
    threading.Timer(seconds + 15, os._exit, (1,)).start()
    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(KINDS[kind], port, ends)
        print("begun", flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
