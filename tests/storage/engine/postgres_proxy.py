"""A wire between a client and PostgreSQL that can be cut at the worst moment."""

import socket
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

SOCKET_NAME = ".s.PGSQL.5432"


class CuttingProxy:
    """Forwards a unix socket; while ``cut`` is set, the next COMMIT ends its connection.

    ``"before"`` drops the COMMIT itself, ``"after"`` lets it through and drops the answer. With ``of``, it is the
    COMMIT of a transaction that says this; with ``for_good`` nobody gets through from then on, until ``reopen``.
    """

    def __init__(self, server_socket: Path) -> None:
        self._server_socket = server_socket
        self._directory = tempfile.TemporaryDirectory(prefix="dc1-proxy-")
        self.cut: str | None = None
        self.of = b""
        self.for_good = False
        self.cuts = 0
        self._is_shut = False
        self._ends: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{self._directory.name}/{SOCKET_NAME}")
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def host(self) -> str:
        return self._directory.name

    def reopen(self) -> None:
        self.for_good = self._is_shut = False

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
            self._ends.append(client)
            # In this order: whoever shuts everybody out says so before it looks who is there.
            if self._is_shut:
                client.close()
                continue
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(self._server_socket))
            threading.Thread(target=self._requests, args=(client, server), daemon=True).start()
            threading.Thread(target=self._answers, args=(client, server), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        # Whichever of the two goes first.
        with suppress(OSError):
            self._pass_on(client, server)
        _end(client)
        _end(server)

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        is_victim = False
        while data := _receive(client):
            is_victim = is_victim or (self.cut is not None and self.of in data)
            if self.cut is not None and is_victim and b"COMMIT" in data:
                if self.for_good:
                    self._shut_out(client)
                if self.cut == "after":
                    # The client is gone before the answer can reach it.
                    client.shutdown(socket.SHUT_RDWR)
                    server.sendall(data)
                self.cut = None
                self.cuts += 1
                break
            is_victim = is_victim and b"COMMIT" not in data
            server.sendall(data)

    def _shut_out(self, victim: socket.socket) -> None:
        self._is_shut = True
        for end in self._ends:
            if end is not victim:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

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
