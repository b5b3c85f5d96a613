"""A wire between a client and PostgreSQL that can be cut at the worst moment."""

import socket
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

SOCKET_NAME = ".s.PGSQL.5432"


class CuttingProxy:
    """Forwards a unix socket; while ``cut`` is set, the next COMMIT ends its connection.

    ``"before"`` drops the COMMIT itself, ``"after"`` lets it through and drops the answer.
    """

    def __init__(self, server_socket: Path) -> None:
        self._server_socket = server_socket
        self._directory = tempfile.TemporaryDirectory(prefix="dc1-proxy-")
        self.cut: str | None = None
        self.cuts = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{self._directory.name}/{SOCKET_NAME}")
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def host(self) -> str:
        return self._directory.name

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._directory.cleanup()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(self._server_socket))
            threading.Thread(target=self._requests, args=(client, server), daemon=True).start()
            threading.Thread(target=self._answers, args=(client, server), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        while data := _receive(client):
            if self.cut is not None and b"COMMIT" in data:
                if self.cut == "after":
                    # The client is gone before the answer can reach it.
                    client.shutdown(socket.SHUT_RDWR)
                    server.sendall(data)
                self.cut = None
                self.cuts += 1
                break
            server.sendall(data)
        _end(client)
        _end(server)

    def _answers(self, client: socket.socket, server: socket.socket) -> None:
        while data := _receive(server):
            try:
                client.sendall(data)
            except OSError:
                break


def _receive(end: socket.socket) -> bytes:
    try:
        return end.recv(65536)
    except OSError:
        return b""


def _end(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
