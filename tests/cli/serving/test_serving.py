"""`dc1 serve` in this process, so that a part of it can be broken."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from dc1.cli.errors import CommandError
from dc1.cli.serving.serving import serve_alone
from dc1.control.scheduling.dispatcher import Dispatcher
from dc1.server import app
from dc1.settings.settings import Settings
from dc1.storage.engine.database import UnreachableDatabaseError


async def test_a_server_whose_market_ended_ends_too_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_: Dispatcher) -> None:
        raise RuntimeError("a fault nobody thought of")

    monkeypatch.setattr(Dispatcher, "run", broken)
    settings = Settings(data_dir=tmp_path, admin_token="letmein")  # type: ignore[arg-type]
    with capture_logs() as logged, pytest.raises(CommandError, match="own tasks ended by an error"):
        await asyncio.wait_for(serve_alone(settings, asyncio.Event(), None), 30)
    events = [line["event"] for line in logged]
    assert events.index("market_ended") < events.index("stopped")


async def test_a_server_waits_for_its_database_only_so_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "_DATABASE_SECONDS", 0.0)
    url = f"postgresql://nobody@/none?host={tmp_path}"
    settings = Settings(data_dir=tmp_path, database_url=url, admin_token="letmein")  # type: ignore[arg-type]
    with pytest.raises(UnreachableDatabaseError, match="No such file or directory"):
        await asyncio.wait_for(serve_alone(settings, asyncio.Event(), None), 30)
