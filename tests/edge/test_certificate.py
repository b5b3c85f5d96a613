"""A certificate is renewed while the edge serves."""

import asyncio
import shutil
import socket
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from dc1.edge import EdgeConfig, Envoy
from dc1.edge.certificate import Certificate
from dc1.testing.waiting import eventually

TLS = Path(__file__).parents[1] / "support" / "tls"
FIRST = ("localhost.pem", "localhost.key")
SECOND = ("renewed.pem", "renewed.key")


@pytest.fixture
def config(tmp_path: Path) -> EdgeConfig:
    config = EdgeConfig(tmp_path / "edge", http_port=0, upstreams=("127.0.0.1:1",), concurrency=1, limits_enabled=False)
    put(tmp_path, FIRST)
    return replace(
        config, tls_certificate=tmp_path / "tls.crt", tls_key=tmp_path / "tls.key", certificate_look_seconds=0.05
    )


def put(directory: Path, pair: tuple[str, str]) -> None:
    """Copy a certificate and its key over those that are there, as administrators do."""
    for name, file in zip(("tls.crt", "tls.key"), pair, strict=True):
        shutil.copyfile(TLS / file, directory / name)


def shown(port: int) -> str:
    """The certificate that a new connection is shown, PEM."""
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=10)


def expected(name: str) -> str:
    return ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert((TLS / name).read_text()))


async def test_new_connections_have_the_renewed_certificate_and_open_ones_stay(
    config: EdgeConfig, tmp_path: Path
) -> None:
    async with Envoy(config) as edge:
        assert shown(edge.http_port) == expected(FIRST[0])
        context = ssl.create_default_context(cafile=TLS / FIRST[0])
        with (
            socket.create_connection(("127.0.0.1", edge.http_port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as before,
        ):
            put(tmp_path, SECOND)
            await asyncio.to_thread(eventually, lambda: shown(edge.http_port) == expected(SECOND[0]), "the renewed one")
            before.sendall(b"GET /renters/balance HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert before.recv(100).startswith(b"HTTP/1.1 503")
    # The key is in it.
    assert config.certificate_file.stat().st_mode & 0o077 == 0


def test_a_pair_that_cannot_be_used_is_left_and_told_once(tmp_path: Path) -> None:
    given = tmp_path / "certificate.json"
    put(tmp_path, FIRST)
    certificate = Certificate(tmp_path / "tls.crt", tmp_path / "tls.key", given)
    certificate.give()
    first = given.read_bytes()
    with capture_logs() as logs:
        # A renewal that is under way: one file is there already.
        put(tmp_path, (SECOND[0], FIRST[1]))
        certificate.look()
        assert logs == []
        certificate.look()
        certificate.look()
        assert given.read_bytes() == first
        assert [line["event"] for line in logs] == ["certificate_refused"]
        put(tmp_path, SECOND)
        certificate.look()
    assert logs[-1]["event"] == "certificate_renewed"
    assert given.read_bytes() != first
