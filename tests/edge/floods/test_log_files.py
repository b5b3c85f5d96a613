"""Envoy's logs have a bound, whatever those outside make it write."""

import asyncio
from pathlib import Path

import httpx
import pytest

from dc1.edge import EdgeConfig, Envoy, log_files
from tests.edge.floods.test_floods import behind
from tests.edge.upstream import Upstream

__all__ = ["behind"]


async def test_a_log_that_is_full_is_put_aside_and_the_oldest_dropped(
    behind: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One address made it write 240 KiB a second, for as long as the disk had room."""
    monkeypatch.setattr(log_files, "_LOOK_SECONDS", 0.1)
    config = EdgeConfig(
        tmp_path, http_port=0, upstreams=(f"127.0.0.1:{behind.port}",), limits_enabled=False, log_bytes=10_000
    )
    older = [tmp_path / f"access.log.{number}" for number in range(1, log_files.KEPT + 2)]
    async with Envoy(config) as envoy, httpx.AsyncClient(base_url=f"http://127.0.0.1:{envoy.http_port}") as client:
        async with asyncio.timeout(60):
            while not older[-2].exists():
                await client.get(f"/{'x' * 400}")
        seen = set[str]()
        async with asyncio.timeout(30):
            while not any("/the-last-one" in text for text in seen):
                await client.get("/the-last-one")
                seen.add(config.access_log_path.read_text() if config.access_log_path.exists() else "")
    assert not older[-1].exists()
    # What Envoy writes between two looks is beyond it.
    assert max(path.stat().st_size for path in older[:-1]) < 1_000_000
    assert {path.stat().st_mode & 0o777 for path in (*older[:-1], config.access_log_path)} == {0o600}


async def test_an_envoy_that_did_not_hear_of_it_is_told_again(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(b"x" * 100)
    files = log_files.LogFiles([log], tmp_path / "nobody.sock", most_bytes=100)
    for _ in range(3):
        # It is put aside at the first look, and none of the others may take that for all there was to do.
        with pytest.raises(httpx.TransportError):
            await files.look()
    assert not log.exists()
