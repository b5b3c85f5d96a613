"""How many servers `dc1 up` has by itself, and what it does not take for one of them."""

import os
import socket
from pathlib import Path

import pytest

from dc1.cli.errors import CommandError
from dc1.cli.serving import servers
from dc1.cli.serving.servers import Server, usual_number
from dc1.settings.settings import Settings

POSTGRES = Settings(database_url="postgresql://dc1@127.0.0.1/dc1")


@pytest.mark.parametrize(
    ("cores", "quota", "number"),
    [(1, "max", 1), (4, "max", 2), (128, "max", 8), (64, "200000", 1), (64, "450000", 2), (4, "6400000", 2)],
)
def test_there_is_one_for_two_cores_that_may_be_used(
    cores: int, quota: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text(f"{quota} 100000\n")
    monkeypatch.setattr(servers, "_CGROUPS", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))

    assert usual_number(POSTGRES) == number
    # One with an address that others know cannot be several, nor what writes SQLite.
    assert usual_number(POSTGRES.model_copy(update={"grpc_host": "127.0.0.1", "grpc_port": 50051})) == 1
    assert usual_number(Settings(database_url="sqlite:///one.sqlite3")) == 1


async def test_who_answers_there_already_is_not_taken_for_the_server(tmp_path: Path) -> None:
    path = tmp_path / "grpc-1.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(CommandError, match="Another server listens"):
            await Server(1, path, {}).start()


async def test_a_module_that_lies_about_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "typer.py").write_text("import pathlib\npathlib.Path('ran').touch()\n")
    monkeypatch.chdir(tmp_path)
    server = Server(1, tmp_path / "grpc-1.sock", {**os.environ, "DC1_HTTP_PORT": "70000"})

    with pytest.raises(CommandError, match="ended with status 1 while it started"):
        await server.start()
    assert not (tmp_path / "ran").exists()
