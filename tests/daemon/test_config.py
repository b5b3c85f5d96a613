"""What a daemon refuses to start with."""

from pathlib import Path
from typing import Any

import pytest

from dc1.daemon.config import DaemonConfig
from dc1.daemon.connection.channel import explain_failure
from dc1.daemon.errors import DaemonError


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        *(
            ({"server": server}, "The server is given as host:port")
            for server in (
                "",
                "market.example.sa",
                "market.example.sa:",
                "market.example.sa:http",
                "market.example.sa:70000",
                "market.example.sa:0",
                ":8083",
                "https://market.example.sa:443",
                "market.example.sa:443/api",
                "[::1:8083",
            )
        ),
        *(
            ({"engine_url": url}, "The engine is given as a URL")
            for url in ("127.0.0.1:8000", "http://", "ftp://127.0.0.1", "http://[::1", "http://127.0.0.1:99999")
        ),
        *(({"key": key}, "The provider key has characters") for key in ("two words", "cl\u00e9", "a\nb")),
        ({"ca_file": Path("ca.pem")}, "--tls is missing"),
    ],
)
def test_what_could_never_work_is_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DaemonError, match=sentence) as refused:
        DaemonConfig(**{"key": "dc1-provider-x", "server": "127.0.0.1:8083", **settings})
    assert "cl\u00e9" not in str(refused.value)


@pytest.mark.parametrize("server", ["127.0.0.1:8083", "[::1]:8083", "localhost:443", "market.example.sa:443"])
def test_addresses_of_every_kind(server: str) -> None:
    config = DaemonConfig(key="dc1-provider-x", server=server, engine_url="https://engine.example.sa/v1/")
    assert config.server == server


@pytest.mark.parametrize("details", ["Service unavailable", "failed to connect to all addresses; last error: new"])
def test_details_nobody_foresaw_are_passed_on(details: str) -> None:
    assert explain_failure(details, tls=True) == details


@pytest.mark.usefixtures("no_proxies")
@pytest.mark.parametrize(
    "proxy", ["socks5://proxy.example.sa:1080", "socks5h://u:secret@proxy.example.sa", "http://[::1"]
)
def test_a_proxy_that_no_engine_can_be_reached_by_is_refused(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", proxy)
    told: dict[str, Any] = {"key": "dc1-provider-x", "server": "127.0.0.1:8083"}
    with pytest.raises(DaemonError, match=r"none of http or https; NO_PROXY") as refused:
        DaemonConfig(**told, engine_url="http://engine.example.sa:8000")
    assert "secret" not in str(refused.value)
    # Beside the daemon none is asked, and a built-in engine has no address.
    DaemonConfig(**told, engine_url="http://127.0.0.1:8000")
    DaemonConfig(**told)
    monkeypatch.setenv("no_proxy", "example.sa")
    DaemonConfig(**told, engine_url="http://engine.example.sa:8000")
