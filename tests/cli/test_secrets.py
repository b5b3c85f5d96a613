"""Secrets come from files, and go to no stranger in clear."""

from pathlib import Path
from typing import Literal

import pytest

from dc1.cli.errors import CommandError
from dc1.cli.serving.admin_token import with_admin_token
from dc1.loopback import is_loopback
from dc1.secret_files import SecretFileError, read_secret
from dc1.settings.settings import FILE_VARIABLES, Settings, SettingsError
from tests.cli.answers import BALANCE
from tests.cli.conftest import Run
from tests.cli.scripted_server import Reply, ScriptedServer

ROLES = [
    (["renter", "balance"], "GET /renters/balance", "--key", "DC1_RENTER_KEY", "x-renter-key"),
    (["provider", "earnings"], "GET /providers/earnings", "--key", "DC1_PROVIDER_KEY", "x-provider-key"),
    (["admin", "dashboard"], "GET /admin/dashboard", "--token", "DC1_ADMIN_TOKEN", "x-admin-token"),
]


@pytest.mark.parametrize(("command", "call", "flag", "variable", "header"), ROLES)
@pytest.mark.parametrize("how", ["option", "variable"])
def test_each_role_takes_its_secret_from_a_file(
    server: ScriptedServer,
    run: Run,
    tmp_path: Path,
    command: list[str],
    call: str,
    flag: str,
    variable: str,
    header: str,
    how: str,
) -> None:
    file = tmp_path / "secret"
    file.write_text("dc1-of-the-file\n")
    server.on(call, Reply({}))
    if how == "option":
        result = run(*command, "--json", f"{flag}-file", str(file))
    else:
        result = run(*command, "--json", **{variable: None, f"{variable}_FILE": str(file)})
    assert (result.exit_code, result.stderr) == (0, "")
    assert server.requests[0].headers[header] == "dc1-of-the-file"


def test_a_key_on_the_command_line_is_warned_of(server: ScriptedServer, run: Run, tmp_path: Path) -> None:
    server.on("GET /renters/balance", Reply(BALANCE))
    result = run("renter", "balance", "--key", "dc1-renter-other")
    assert result.exit_code == 0
    assert "--key is seen in the list of processes" in result.stderr
    assert "dc1-renter-other" not in result.stderr
    both = run("renter", "balance", "--key", "dc1-renter-other", "--key-file", str(tmp_path / "none"))
    assert (both.exit_code, both.stderr) == (1, "--key and --key-file are both given.\n")


@pytest.mark.parametrize(
    "url",
    [
        "http://market.example.sa",
        "http://192.0.2.7:8083",
        "http://[2001:db8::7]:8083",
        "http://0.0.0.0:8083",
        "http://localhost.example.sa",
        "http://127.0.0.1.example.sa",
        "http://2130706433",
        "HTTP://market.example.sa",
    ],
)
@pytest.mark.parametrize("command", [["renter", "balance"], ["provider", "me"], ["admin", "dashboard"]])
def test_no_stranger_is_spoken_to_in_clear(server: ScriptedServer, run: Run, command: list[str], url: str) -> None:
    result = run(*command, "--url", url)
    assert result.exit_code == 1
    assert "in clear" in result.stderr
    assert "--insecure" in result.stderr
    assert server.requests == []


@pytest.mark.parametrize("more", [["--tls"], ["--insecure"], []])
def test_a_daemon_gives_its_key_to_no_stranger_in_clear(run: Run, more: list[str]) -> None:
    # A CA file that is none ends the daemons that would connect.
    result = run("daemon", "--server", "market.example.sa:443", "--ca-file", "/dev/null", *more)
    assert result.exit_code == 1
    assert ("in clear" in result.stderr) == (more == [])


def test_an_engine_elsewhere_is_given_no_key_in_clear(run: Run) -> None:
    result = run("daemon", "--engine-url", "http://192.0.2.7:8000", DC1_ENGINE_API_KEY="secret-of-the-engine")
    assert result.exit_code == 1
    assert "192.0.2.7 would be spoken to in clear" in result.stderr


@pytest.mark.parametrize(
    ("host", "is_local"),
    [
        *((host, True) for host in ("127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "LocalHost", "localhost.")),
        ("::ffff:127.0.0.1", True),
        *((host, False) for host in ("0.0.0.0", "::", "10.0.0.1", "localhost.example.sa", "127.1", "x.localhost", "")),
        ("::ffff:192.0.2.7", False),
    ],
)
def test_what_is_this_machine_is_judged_by_what_is_typed(host: str, is_local: bool) -> None:
    assert is_loopback(host) == is_local


def test_a_file_that_everybody_reads_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    file = folder / "key"
    file.write_text("dc1-provider-x\n")
    file.chmod(0o644)
    # Nobody else can enter the directories of a test, so here nobody else reads it.
    assert read_secret(file) == "dc1-provider-x"
    closed = [parent for parent in folder.parents if not parent.stat().st_mode & 0o001]
    modes = {parent: parent.stat().st_mode & 0o777 for parent in closed}
    try:
        for parent in closed:
            parent.chmod(modes[parent] | 0o001)
        folder.chmod(0o711)
        with pytest.raises(SecretFileError, match="can be read by everybody"):
            read_secret(file)
        file.chmod(0o640)
        assert read_secret(file) == "dc1-provider-x"
        folder.chmod(0o700)
        file.chmod(0o644)
        assert read_secret(file) == "dc1-provider-x"
    finally:
        for parent, mode in modes.items():
            parent.chmod(mode)


def test_every_secret_of_a_server_may_be_in_a_file() -> None:
    """The admin token's file is the command's; addresses may have a password in them."""
    secret = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    addresses = {"database_url", "database_direct_url", "database_read_url"}
    named = {f"DC1_{name.upper()}_FILE" for name in {*secret, *addresses} - {"admin_token"}}
    assert named == FILE_VARIABLES - {"DC1_CONFIG_FILE"}


@pytest.mark.parametrize(
    ("variable", "field"),
    [("DC1_SECRET_KEY", "secret_key"), ("DC1_EDGE_SECRET", "edge_secret"), ("DC1_DATABASE_URL", "database_url")],
)
def test_a_servers_secrets_come_from_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, field: str
) -> None:
    file = tmp_path / "secret"
    file.write_text("sqlite:////var/lib/dc1/with-a-long-enough-text\n")
    monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(f"{variable}_FILE", str(file))
    loaded = getattr(Settings.load(), field)
    assert "with-a-long-enough-text" in (loaded.get_secret_value() if hasattr(loaded, "get_secret_value") else loaded)
    monkeypatch.setenv(variable, "sqlite:///other")
    with pytest.raises(SettingsError, match="both set"):
        Settings.load()
    monkeypatch.delenv(variable)
    file.unlink()
    with pytest.raises(SettingsError, match="cannot be read"):
        Settings.load()


@pytest.mark.parametrize(("environment", "is_told"), [("development", True), ("production", False)])
def test_a_token_file_that_cannot_be_used_is_told_of_what_holds(
    tmp_path: Path, environment: Literal["development", "production"], is_told: bool
) -> None:
    """In production no token is made, with the file or without it."""
    file = tmp_path / "admin-token"
    file.touch(0o600)
    with pytest.raises(CommandError, match="is empty") as refusal:
        with_admin_token(Settings(environment=environment), file)
    assert ("a token is made" in str(refusal.value)) == is_told


_KEY = "k" * 40


@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", "\ufeff{}", "\ufeff{}\n", " {} ", "\n{}"])
def test_what_editors_put_around_a_secret_is_no_part_of_it(
    server: ScriptedServer, run: Run, tmp_path: Path, around: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = around.format(_KEY)
    settings = Settings(
        admin_token=secret,  # type: ignore[arg-type]
        edge_secret=secret,  # type: ignore[arg-type]
        secret_key=secret,  # type: ignore[arg-type]
        database_url=around.format("sqlite:///x"),
    )
    for found in (settings.admin_token, settings.edge_secret, settings.secret_key):
        assert found is not None
        assert found.get_secret_value() == _KEY
    assert settings.database_url == "sqlite:///x"

    file = tmp_path / "secret"
    file.write_text(secret, encoding="utf-8")
    assert read_secret(file) == _KEY
    monkeypatch.setenv("DC1_ADMIN_TOKEN", secret)
    for command, call, _, variable, header in ROLES:
        server.on(call, Reply({}))
        assert run(*command, "--json", **{variable: secret}).exit_code == 0
        assert server.requests[-1].headers[header] == _KEY


@pytest.mark.parametrize("variable", ["DC1_ADMIN_TOKEN", "DC1_EDGE_SECRET", "DC1_SECRET_KEY", "DC1_DATABASE_URL"])
def test_a_secret_of_several_lines_is_refused_in_a_sentence(
    variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(variable, f"{_KEY}\n{_KEY}")
    with pytest.raises(SettingsError, match=rf"^{variable}: has a line break") as refusal:
        Settings.load()
    assert _KEY not in str(refusal.value)


def test_an_admin_token_that_no_header_carries_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DC1_ADMIN_TOKEN", "رمز" * 20)
    with pytest.raises(
        SettingsError,
        match=r"^DC1_ADMIN_TOKEN: must be of letters, digits and punctuation of ASCII, as a header carries it",
    ):
        Settings.load()
    file = tmp_path / "token"
    file.write_text("رمز" * 20, encoding="utf-8")
    with pytest.raises(CommandError, match="no header carries"):
        with_admin_token(Settings(admin_token=None), file)


def test_a_key_of_several_lines_is_refused_in_a_sentence(run: Run, tmp_path: Path) -> None:
    for command, _, _, variable, _ in ROLES:
        result = run(*command, **{variable: f"{_KEY}\n{_KEY}"})
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert f"{variable} has a line break" in result.stderr
    file = tmp_path / "secret"
    file.write_text(f"{_KEY}\n{_KEY}\n")
    with pytest.raises(SecretFileError, match="has a line break"):
        read_secret(file)
