"""A marketplace of the demo's own: server, edge and data in a temporary directory, and a provider's daemon."""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dc1.cli.demo.children import Child, usable_port
from dc1.cli.options import admin_target
from dc1.client import Client, ClientError, Target, path

_HTTP_PORT = 8083
_START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class DemoMarket:
    """A running marketplace.

    Attributes:
        url: where its REST routes are.
        admin_token: its operator's token.
        up: the process that serves it.
        directory: where its data and logs lie.
        children: what is stopped at the end, last started first.
    """

    url: str
    admin_token: str
    up: Child
    directory: Path
    children: ExitStack

    def start_daemon(self, provider_id: int, key: str) -> Child:
        """Start a provider's daemon and wait until the marketplace can give it work."""
        child = Child(
            ["daemon", "--server", self.url.removeprefix("http://")],
            {"DC1_PROVIDER_KEY": key},
            self.directory / "daemon.log",
        )
        self.children.callback(child.stop)
        with Client(Target(self.url)) as client:
            child.until(
                lambda: _can_answer(client, provider_id),
                what="the daemon to connect with a model",
                seconds=_START_SECONDS,
            )
        return child


@contextmanager
def own_market() -> Iterator[DemoMarket]:
    """Start a marketplace; leaving stops everything and removes its data."""
    # Left in reverse: the directory goes when nobody writes into it any more.
    with TemporaryDirectory(prefix="dc1-demo-") as directory, ExitStack() as children:
        port = usable_port(_HTTP_PORT)
        token = secrets.token_urlsafe(24)
        up = Child(
            ["up"],
            {
                "DC1_DATA_DIR": directory,
                "DC1_HTTP_PORT": str(port),
                # Given, as one that `dc1 up` makes itself is only printed.
                "DC1_ADMIN_TOKEN": token,
            },
            Path(directory) / "up.log",
        )
        children.callback(up.stop)
        url = f"http://127.0.0.1:{port}"
        with Client(Target(url)) as client:
            up.until(lambda: _is_healthy(client), what="the marketplace to answer", seconds=_START_SECONDS)
        yield DemoMarket(url, token, up, Path(directory), children)


def approve_provider(market: DemoMarket, provider_id: int) -> None:
    """Approve a provider as the operator."""
    with Client(admin_target(market.url, market.admin_token)) as client:
        client.patch(path("admin", "providers", provider_id, "approve"))


def _is_healthy(client: Client) -> bool | None:
    try:
        # None and not False, as only None is waited on for.
        return client.get("/health").body["status"] == "ok" or None
    except ClientError:
        return None


def _can_answer(client: Client, provider_id: int) -> dict[str, Any] | None:
    # Online is not enough: a daemon without an engine serves no model, and the demo's job would only wait.
    providers: list[dict[str, Any]] = client.get("/renters/available-providers").body["providers"]
    return next((one for one in providers if one["id"] == provider_id and one["cached_models"]), None)
