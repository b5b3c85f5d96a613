"""Engines that are somebody's service are believed by public authorities, on machines without any of their own too."""

from pathlib import Path

import pytest

from dc1.daemon.runners.inference.engine_http import trusted_authorities


def test_a_machine_needs_no_authorities_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    context = trusted_authorities()
    assert context.check_hostname
    assert context.cert_store_stats()["x509_ca"] > 50
