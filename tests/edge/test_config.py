"""What envoy.yaml says, held against the protocol, and what a deployment changes in it."""

import re
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml

from dc1.assets import asset
from dc1.edge import EdgeError
from dc1.edge.config import EdgeConfig, render
from dc1.settings.settings import Settings
from tests.edge.upstream import METHODS, SERVICES

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def manager() -> dict[str, Any]:
    bootstrap = yaml.safe_load(asset("envoy/envoy.yaml").read_text(encoding="utf-8"))
    return _manager(bootstrap)


def test_envoy_accepts_the_file_as_it_stands() -> None:
    _validate(ROOT / "envoy" / "envoy.yaml")


def test_envoy_accepts_what_is_rendered(tmp_path: Path) -> None:
    _validate(render(EdgeConfig(directory=tmp_path / "new" / "edge", cors_origins=("*",))))


def test_every_service_is_transcoded(manager: dict[str, Any]) -> None:
    filters = {entry["name"]: entry["typed_config"] for entry in manager["http_filters"]}
    transcoder = filters["envoy.filters.http.grpc_json_transcoder"]
    assert set(transcoder["services"]) == {service.full_name for service in SERVICES}


@pytest.mark.parametrize("method", METHODS)
def test_streams_have_no_time_limit_and_other_rest_calls_have_one(manager: dict[str, Any], method: str) -> None:
    descriptor = METHODS[method]
    route = next(route for route in manager["route_config"]["virtual_hosts"][0]["routes"] if _matches(route, method))
    is_stream = descriptor.client_streaming or descriptor.server_streaming
    assert (route["route"]["timeout"] == "0s") == is_stream
    if is_stream:
        assert float(route["route"]["idle_timeout"].rstrip("s")) >= 60
        # A native call without a route of its own would be ended after three minutes.
        assert "max_stream_duration" not in route["route"]


def test_the_fleet_may_be_large() -> None:
    bootstrap = yaml.safe_load(asset("envoy/envoy.yaml").read_text(encoding="utf-8"))
    limits = bootstrap["static_resources"]["clusters"][0]["circuit_breakers"]["thresholds"][0]
    assert min(limits[key] for key in ("max_connections", "max_pending_requests", "max_requests")) >= 20_000


def test_a_deployments_values_are_in_the_rendered_file(tmp_path: Path) -> None:
    config = EdgeConfig(
        directory=tmp_path,
        http_host="0.0.0.0",
        http_port=1,
        upstreams=("0.0.0.0:2",),
        cors_origins=("https://a.example", "https://b.example"),
        rest_timeout_seconds=2.5,
        access_log=tmp_path / "elsewhere.log",
    )
    bootstrap = yaml.safe_load(render(config).read_text(encoding="utf-8"))
    manager = _manager(bootstrap)
    text = str(bootstrap)
    assert bootstrap["admin"]["address"] == {"pipe": {"path": f"{tmp_path}/admin.sock", "mode": 0o600}}
    listener = bootstrap["static_resources"]["listeners"][0]
    assert listener["address"]["socket_address"] == {"address": "0.0.0.0", "port_value": 1}
    assert str({"address": "127.0.0.1", "port_value": 2}) in text
    assert "'cors_origins': ['https://a.example', 'https://b.example']" in text
    assert manager["access_log"][1]["typed_config"]["path"] == str(tmp_path / "elsewhere.log")
    assert text.count("'2.5s'") == 1


def test_settings_become_the_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DC1_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("DC1_HTTP_PORT", "1")
    monkeypatch.setenv("DC1_CORS_ORIGINS", "https://a.example")
    config = EdgeConfig.from_settings(Settings.load(), ("unix:/run/dc1/grpc.sock",))
    assert (config.http_port, config.upstreams) == (1, ("unix:/run/dc1/grpc.sock",))
    assert config.cors_origins == ("https://a.example",)
    assert config.directory == tmp_path / "envoy"


def test_an_edge_proves_itself_by_a_header_that_it_writes_over_a_clients(tmp_path: Path) -> None:
    secret = "a-secret-of-%-and-32-characters-%%"
    path = render(EdgeConfig(tmp_path, upstreams=("0.0.0.0:7", "[::]:8"), edge_secret=secret))
    bootstrap = yaml.safe_load(path.read_text(encoding="utf-8"))
    (*_, proof) = _manager(bootstrap)["route_config"]["virtual_hosts"][0]["request_headers_to_add"]
    assert proof["header"] == {"key": "x-edge-proof", "value": secret.replace("%", "%%")}
    assert proof["append_action"] == "OVERWRITE_IF_EXISTS_OR_ADD"
    assert secret not in repr(EdgeConfig(tmp_path, edge_secret=secret))
    text = str(bootstrap)
    for address in ({"address": "127.0.0.1", "port_value": 7}, {"address": "::1", "port_value": 8}):
        assert str(address) in text
    _validate(path)


def test_servers_with_sockets(tmp_path: Path) -> None:
    path = render(EdgeConfig(tmp_path, upstreams=("unix:/run/a.sock", "unix:/run/b.sock")))
    bootstrap = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert "x-edge-proof" not in str(_manager(bootstrap)["route_config"])
    endpoints = bootstrap["static_resources"]["clusters"][0]["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert [entry["endpoint"]["address"]["pipe"]["path"] for entry in endpoints] == ["/run/a.sock", "/run/b.sock"]
    _validate(path)
    with pytest.raises(EdgeError, match="all servers have to be Unix sockets, or none"):
        render(EdgeConfig(tmp_path, upstreams=("unix:/run/a.sock", "host:1")))


def _manager(bootstrap: dict[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0][
        "typed_config"
    ]
    return config


def _matches(route: dict[str, Any], method: str) -> bool:
    match = route["match"]
    if "safe_regex" in match:
        return re.fullmatch(match["safe_regex"]["regex"], method) is not None
    return method == match["path"] if "path" in match else method.startswith(match["prefix"])


def _validate(path: Path) -> None:
    envoy = Path(sysconfig.get_path("scripts")) / "envoy"
    command = [str(envoy), "--mode", "validate", "--log-level", "error", "--config-path", str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
