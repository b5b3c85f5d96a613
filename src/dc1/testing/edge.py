"""A real Envoy that stays while servers behind it come and go."""

import socket
from pathlib import Path

from dc1.edge import EdgeConfig, Envoy
from dc1.testing.server import LoopThread, make_template

CORS_ORIGIN = "https://app.example.sa"
"""The one web origin that this edge lists."""


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        # Free now, and not kept: somebody else may take it before it is used. Where a server can say its port itself, 0
        # is better.
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Edge:
    """An Envoy and the loop that its servers run on.

    An Envoy takes most of a second to start, so one is shared by all markets of a process that follow one another: it
    expects their servers on `grpc_socket`.

    Args:
        directory: where Envoy's files and an empty, migrated database to copy from are kept.
        trusted_proxies: how many proxies before it are believed what they say of clients.
    """

    def __init__(self, directory: Path, *, trusted_proxies: int = 0) -> None:
        self.loop = LoopThread()
        # Chosen here, since it is written into Envoy's configuration before there is a server to ask.
        self.grpc_socket = directory / "run" / "grpc.sock"
        self.template = make_template(directory / "template.sqlite3")
        self.config = EdgeConfig(
            directory=directory / "envoy",
            http_port=0,
            upstreams=(f"unix:{self.grpc_socket}",),
            # Every worker keeps connections of its own to the server; one is enough for a test.
            concurrency=1,
            limits_enabled=False,
            trusted_proxies=trusted_proxies,
            cors_origins=(CORS_ORIGIN,),
        )
        self._envoy = Envoy(self.config)
        self.loop.run(self._envoy.start())
        self.target = f"127.0.0.1:{self._envoy.http_port}"

    @property
    def url(self) -> str:
        """Where REST is spoken."""
        return f"http://{self.target}"

    @property
    def log(self) -> Path:
        """Envoy's own log, without calls."""
        return self.config.directory / "envoy.log"

    def close(self) -> None:
        """Stop Envoy and the loop."""
        self.loop.run(self._envoy.stop())
        self.loop.close()
