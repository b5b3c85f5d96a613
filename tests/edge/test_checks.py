"""What is looked at before Envoy starts."""

import errno
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from dc1.edge import EdgeConfig, EdgeError, check
from dc1.edge.config import render

TLS = Path(__file__).parents[1] / "support" / "tls"
CERTIFICATE, KEY = TLS / "localhost.pem", TLS / "localhost.key"


@pytest.fixture
def config(tmp_path: Path) -> EdgeConfig:
    return EdgeConfig(directory=tmp_path, http_port=0)


def test_a_certificate_and_its_key_are_good(config: EdgeConfig) -> None:
    check(replace(config, tls_certificate=CERTIFICATE, tls_key=KEY))


@pytest.mark.parametrize(
    ("certificate", "key", "sentence"),
    [
        (Path("/absent.pem"), KEY, r"cannot be read: .*/absent\.pem: No such file or directory\.$"),
        (CERTIFICATE, TLS, r"cannot be read: .*tls: Is a directory\.$"),
        (CERTIFICATE, CERTIFICATE, "they have to be a certificate and its key, unencrypted, as PEM"),
        (Path(__file__), Path(__file__), "they have to be a certificate and its key, unencrypted, as PEM"),
    ],
)
def test_a_certificate_that_cannot_be_used(config: EdgeConfig, certificate: Path, key: Path, sentence: str) -> None:
    with pytest.raises(EdgeError, match=sentence):
        check(replace(config, tls_certificate=certificate, tls_key=key))


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        ("host.invalid", r"Port 0 on host\.invalid cannot be opened: "),
        ("192.0.2.1", r"Port 0 on 192\.0\.2\.1 cannot be opened, as this machine has no such address\."),
    ],
)
def test_an_address_of_no_use(config: EdgeConfig, host: str, sentence: str) -> None:
    with pytest.raises(EdgeError, match=sentence):
        check(replace(config, http_host=host))


def test_a_port_that_needs_more_rights(config: EdgeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)

    with pytest.raises(EdgeError, match=r"Port 443 on .* may not be opened by this user; set DC1_HTTP_PORT"):
        check(replace(config, http_port=443))


@pytest.mark.parametrize("upstream", ["replica", ":50051", "replica:", "replica:0", "replica:70000", "replica:http"])
def test_a_replica_that_is_no_address(config: EdgeConfig, upstream: str) -> None:
    with pytest.raises(EdgeError, match=rf"DC1_UPSTREAMS: '{upstream}' is not host:port"):
        render(replace(config, upstreams=(upstream,)))
