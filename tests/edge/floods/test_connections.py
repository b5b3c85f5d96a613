"""Connections of one address that ask for little or nothing."""

import contextlib
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from dc1.edge import Envoy
from dc1.testing.waiting import eventually
from tests.edge.floods.test_floods import NEIGHBOURS, behind, limited, url
from tests.edge.upstream import Upstream

__all__ = ["behind", "limited"]

GOOD = {"x-renter-key": "dc1-renter-good"}
GET = b"GET /jobs/7 HTTP/1.1\r\nhost: a\r\n"


@contextlib.contextmanager
def opened(envoy: Envoy, number: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(("127.0.0.1", envoy.http_port), timeout=20))
            for _ in range(number)
        ]


def is_closed(connection: socket.socket) -> bool:
    connection.settimeout(0.01)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_a_connection_that_says_nothing_is_closed_soon(limited: Envoy) -> None:
    """3,000 of one address were kept for 75 s."""
    with opened(limited, 300) as connections:
        eventually(lambda: all(map(is_closed, connections[::10])), "their end", 30)
        assert httpx.get(f"{url(limited)}/health", headers=NEIGHBOURS).is_success


def asked_once(connection: socket.socket, *headers: str) -> bool:
    """Return whether the connection is kept for another call."""
    connection.sendall(GET + "".join(f"{header}\r\n" for header in headers).encode() + b"\r\n")
    return b"connection: close" not in connection.recv(4096).lower()


def test_of_strangers_some_connections_are_kept(limited: Envoy, behind: Upstream) -> None:
    with opened(limited, 300) as connections:
        kept = sum(map(asked_once, connections))
    # Each of two workers keeps 100.
    assert 100 <= kept <= 200
    with httpx.Client(base_url=url(limited)) as client:
        answers = [client.get("/jobs/7", headers=GOOD) for _ in range(3)]
    # Its first call was a stranger's; a caller whose key was taken is nobody's flood.
    assert {answer.status_code for answer in answers} == {200}


def test_who_calls_with_a_good_key_keeps_all(limited: Envoy, behind: Upstream) -> None:
    with opened(limited, 300) as connections:
        # Until both workers know it.
        for connection in connections[:20]:
            asked_once(connection, "x-renter-key: dc1-renter-good")
        assert all(asked_once(connection, "x-renter-key: dc1-renter-good") for connection in connections)


def test_who_names_no_path_is_limited_too(limited: Envoy, tmp_path: Path) -> None:
    """CONNECT has none, and a script that fails on it would let the call pass uncounted."""

    def connect(_: int) -> list[bytes]:
        answers = []
        for _ in range(250):
            with socket.create_connection(("127.0.0.1", limited.http_port), timeout=20) as connection:
                connection.sendall(b"CONNECT other:443 HTTP/1.1\r\nhost: other:443\r\n\r\n")
                answers.append(connection.recv(12))
        return answers

    with ThreadPoolExecutor(4) as pool:
        answers = {answer for some in pool.map(connect, range(4)) for answer in some}
    assert answers == {b"HTTP/1.1 404", b"HTTP/1.1 429"}
    assert "lua" not in (tmp_path / "envoy.log").read_text().lower()
