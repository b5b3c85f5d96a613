"""`dc1 db …` as an operator runs it, on the embedded database."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dc1.server.process.instance_lock import sole_server
from dc1.storage.engine.migrate import newest_revision, revisions
from tests.cli.conftest import Run


@pytest.fixture
def settings(sqlite_template: Path, tmp_path: Path) -> dict[str, str]:
    """Those of a market that was started once."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/dc1.sqlite3").write_bytes(sqlite_template.read_bytes())
    return {"DC1_DATA_DIR": str(tmp_path / "data")}


def test_a_sound_database_says_so(run: Run, settings: dict[str, str]) -> None:
    shown = run("db", "check", **settings)
    assert shown.exit_code == 0
    assert "up to date" in shown.stdout
    found = json.loads(run("db", "check", "--json", **settings).stdout)
    assert (found["revision"], found["missing"], found["problems"]) == (newest_revision(), [], [])


def test_there_is_nothing_to_check(run: Run, tmp_path: Path) -> None:
    shown = run("db", "check", DC1_DATA_DIR=str(tmp_path / "none"))
    assert shown.exit_code == 1
    assert "is not there." in shown.stderr
    assert not (tmp_path / "none").exists()


def test_down_and_up_again(run: Run, settings: dict[str, str]) -> None:
    older = revisions()[-2]
    assert run("db", "downgrade", older, stdin="n\n", **settings).exit_code == 1
    shown = run("db", "downgrade", older, "--yes", "--json", **settings)
    assert json.loads(shown.stdout)["missing"] == [newest_revision()]
    assert "dc1 db upgrade" in run("db", "check", **settings).stdout
    assert json.loads(run("db", "upgrade", "--json", **settings).stdout)["missing"] == []
    unknown = run("db", "downgrade", "9999", "--yes", **settings)
    assert (unknown.exit_code, "There is no revision 9999" in unknown.stderr) == (1, True)


def test_nothing_is_changed_under_a_server(run: Run, settings: dict[str, str], tmp_path: Path) -> None:
    copy = ("copy", "--to", f"sqlite:///{tmp_path}/copy.sqlite3")
    with sole_server(f"sqlite:///{settings['DC1_DATA_DIR']}/dc1.sqlite3"):
        for command in (("upgrade",), ("downgrade", "0030", "--yes"), ("restore", "any.sqlite3"), copy):
            shown = run("db", *command, **settings)
            assert (shown.exit_code, "nother server works on" in shown.stderr) == (1, True)
            assert "stop it first" in shown.stderr


def test_backups_are_dated_and_the_newest_kept(run: Run, settings: dict[str, str], tmp_path: Path) -> None:
    place = tmp_path / "backups"
    place.mkdir()
    old = [place / f"dc1-2026010{day}T000000Z.sqlite3" for day in (1, 2)]
    for each in old:
        each.touch()
    written = json.loads(run("db", "backup", "--directory", str(place), "--keep", "2", "--json", **settings).stdout)
    assert written["removed"] == [str(old[0])]
    assert sorted(place.iterdir()) == [old[1], Path(written["backup"])]
    # In another place, as if the machine were lost.
    elsewhere = {"DC1_DATA_DIR": str(tmp_path / "new")}
    assert run("db", "restore", written["backup"], **elsewhere).exit_code == 0
    assert run("db", "check", **elsewhere).exit_code == 0
    again = run("db", "restore", written["backup"], **elsewhere)
    assert (again.exit_code, "is there already" in again.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("backup",), "either --to FILE or --directory"),
        (("backup", "--to", "a", "--keep", "2"), "--keep goes with --directory"),
        (("copy", "--to", "mysql://host/name"), "Unsupported database engine"),
        (("backup", "--to", "/none/at-all/file"), "There is no directory /none/at-all."),
        (("backup", "--directory", "/dev/null/at-all"), "/dev/null/at-all: Not a directory."),
        (("restore", "/dev/null"), "/dev/null is no file"),
    ],
)
def test_what_cannot_be_done_is_said(run: Run, settings: dict[str, str], arguments: tuple[str, ...], said: str) -> None:
    shown = run("db", *arguments, **settings)
    assert shown.exit_code == 1
    assert said.lower() in shown.stderr.lower()


def test_a_password_does_not_stand_in_the_list_of_processes(
    run: Run, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("db", "copy", "--to", "postgresql://dc1:hush@127.0.0.1:1/dc1")
    monkeypatch.setattr("sys.argv", ["dc1", *command])
    shown = run(*command, **settings)
    assert (shown.exit_code, "DC1_TO_DATABASE_URL" in shown.stderr, "hush" in shown.stderr) == (1, True, False)


def test_operators_are_told_of_a_backup_that_failed(run: Run, settings: dict[str, str], tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "data/dc1.sqlite3")) as database, database:
        database.execute(
            "INSERT INTO notification_channels (owner_role, owner_id, kind, sealed_target, hint, events, language, created_at_ms) "
            """VALUES ('admin', 0, 'webhook', 'sealed', 'h', '["backup.failed"]', 'en', 0)"""
        )
    (tmp_path / "file").touch()
    texts: list[tuple[str]] = []
    failing = ("db", "backup", "--to", str(tmp_path / "file"))
    for more, count in (((), 0), (("--notify",), 1)):
        assert run(*failing, *more, **settings).exit_code == 1
        with closing(sqlite3.connect(tmp_path / "data/dc1.sqlite3")) as database:
            texts = database.execute("SELECT text FROM notifications").fetchall()
        assert len(texts) == count
    assert "is there already" in texts[0][0]
    # With no database at all the reason is still told, and none is made.
    nowhere = run(*failing, "--notify", DC1_DATA_DIR=str(tmp_path / "none"))
    assert (nowhere.exit_code, (tmp_path / "none").exists()) == (1, False)
