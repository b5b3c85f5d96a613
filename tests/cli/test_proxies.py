"""Proxies that the environment names, and the exceptions to them."""

from contextlib import AsyncExitStack

import pytest

from dc1.proxies import grpc_proxy, http_proxy
from dc1.testing.server import LoopThread
from tests.cli.conftest import Run
from tests.cli.scripted_server import Reply, ScriptedServer
from tests.support.connect_proxy import ConnectProxy

pytestmark = pytest.mark.usefixtures("no_proxies")

_PROXY = "http://proxy.example.sa:3128"


@pytest.mark.parametrize(
    ("host", "exceptions", "is_direct"),
    [
        ("market.example.sa", "", False),
        ("market.example.sa", "example.sa", True),
        ("market.example.sa", ".example.sa", True),
        ("market.example.sa", "*.example.sa", True),
        ("market.example.sa", "EXAMPLE.SA ", True),
        ("market.example.sa", "other.sa, market.example.sa:443", True),
        ("market.example.sa", "market.example.sa:80", False),
        ("market.example.sa", "ample.sa", False),
        ("market.example.sa", "*", True),
        ("market.example.sa", ",", False),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2", False),
        ("fd00::7", "fd00::/8", True),
        ("fd00::7", "[fd00::7]", True),
        ("127.0.0.1", "", True),
        ("localhost", "", True),
        ("::1", "", True),
    ],
)
def test_who_is_reached_without_the_proxy(
    host: str, exceptions: str, is_direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", _PROXY)
    monkeypatch.setenv("no_proxy", exceptions)
    expected = None if is_direct else _PROXY
    assert http_proxy("https", host, None) == expected
    name = f"[{host}]" if ":" in host else host
    assert grpc_proxy(f"{name}:443") == expected


@pytest.mark.parametrize("variable", ["https_proxy", "ALL_PROXY", "HTTPS_PROXY"])
def test_a_proxy_without_a_scheme_is_one_of_http(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "proxy.example.sa:3128")
    assert http_proxy("https", "market.example.sa", 443) == _PROXY


def test_a_variable_that_is_set_to_nothing_in_small_letters_means_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", _PROXY)
    monkeypatch.setenv("https_proxy", "")
    assert http_proxy("https", "market.example.sa", 443) is None


def test_commands_go_through_the_proxy_but_not_to_loopback(server: ScriptedServer, run: Run) -> None:
    server.on("GET /renters/available-providers", Reply({"providers": [], "total": 0}))
    port = server.url.rpartition(":")[2]
    loop = LoopThread()
    stack = AsyncExitStack()
    proxy = loop.run(stack.enter_async_context(ConnectProxy().serving()))
    try:
        assert run("renter", "providers", http_proxy=proxy.url).exit_code == 0
        assert proxy.asked == []
        url = f"http://market.example.test:{port}"
        there = run("renter", "providers", "--url", url, "--insecure", http_proxy=proxy.url)
        assert there.exit_code == 0, there.stderr
        assert proxy.asked == [f"GET {url}/renters/available-providers"]
    finally:
        loop.run(stack.aclose())
        loop.close()
