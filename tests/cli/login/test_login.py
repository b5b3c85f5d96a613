"""Logins: what is remembered, and which commands are given it."""

from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.scripted_server import Reply, ScriptedServer

NO_KEYS: dict[str, str | None] = {"DC1_RENTER_KEY": None, "DC1_PROVIDER_KEY": None, "DC1_ADMIN_TOKEN": None}
UNSAID: dict[str, str | None] = {**NO_KEYS, "DC1_URL": None}


@pytest.fixture(autouse=True)
def _answers(server: ScriptedServer) -> None:
    for path in (
        "/renters/me",
        "/renters/balance",
        "/providers/me",
        "/admin/operators/me",
        "/admin/dashboard",
        "/renters/pricing",
    ):
        server.on(f"GET {path}", Reply({}))


def test_a_login_takes_the_place_of_address_and_key(server: ScriptedServer, run: Run) -> None:
    assert run("login", stdin="dc1-renter-mine\n", **NO_KEYS).exit_code == 0
    assert run("login", stdin="a token\n", **NO_KEYS).exit_code == 0
    server.requests.clear()

    assert run("renter", "balance", "--json", **UNSAID).exit_code == 0
    assert run("admin", "dashboard", "--json", **UNSAID).exit_code == 0
    assert run("renter", "pricing", "--json", **UNSAID).exit_code == 0
    renter, admin, anybody = (request.headers for request in server.requests)
    assert (renter["x-renter-key"], admin["x-admin-token"]) == ("dc1-renter-mine", "a token")
    assert not {"x-renter-key", "x-admin-token"} & set(anybody)
    assert "DC1_PROVIDER_KEY" in run("provider", "me", **UNSAID).stderr


def test_a_profile_that_is_named_comes_before_the_environment(server: ScriptedServer, run: Run) -> None:
    assert run("login", "work", stdin="dc1-renter-work\n").exit_code == 0
    server.requests.clear()

    run("renter", "balance", "--json", "--profile", "work", DC1_URL="http://127.0.0.1:9")
    run("renter", "balance", "--json", DC1_PROFILE="work")
    run("renter", "balance", "--json", "--profile", "work", "--key", "dc1-renter-typed")
    keys = [request.headers["x-renter-key"] for request in server.requests]
    assert keys == ["dc1-renter-work", "dc1-renter-x", "dc1-renter-typed"]


def test_a_key_that_is_refused_is_not_kept(server: ScriptedServer, run: Run) -> None:
    server.on("GET /renters/me", Reply({"error": "Invalid API key"}, 401))

    assert run("login", stdin="dc1-renter-wrong\n").exit_code == 1
    assert run("login", stdin=" \n").exit_code == 1
    assert run("profiles").stdout.startswith("No profile")


@pytest.mark.parametrize("key", ["dc1-sk-inference", "dc1-operator-tool"])
def test_a_key_that_may_see_little_is_good(server: ScriptedServer, run: Run, key: str) -> None:
    for path in ("/renters/balance", "/admin/dashboard"):
        server.on(f"GET {path}", Reply({"error": "Forbidden"}, 403))

    assert run("login", stdin=f"{key}\n").exit_code == 0


def test_where_operators_may_not_call_from_no_token_is_kept(server: ScriptedServer, run: Run) -> None:
    server.on("GET /admin/operators/me", Reply({"error": "Access denied: IP not in allowlist"}, 403))

    assert "allowlist" in run("login", stdin="a token\n").stderr
    assert run("profiles").stdout.startswith("No profile")


def test_profiles_are_listed_without_keys_and_forgotten(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("dc1-provider-mine\n")
    file.chmod(0o600)
    assert run("login", "home", "--key-file", str(file)).exit_code == 0

    told = run("profiles").stdout
    assert "home" in told
    assert "provider" in told
    assert "dc1-provider-mine" not in told
    assert run("logout", "home").exit_code == 0
    assert run("logout", "home").exit_code == 1
    assert "There is not a profile 'home'" in run("provider", "me", "--profile", "home").stderr


def test_a_profile_is_made_though_the_environment_names_it_already(server: ScriptedServer, run: Run) -> None:
    told = run("renter", "balance", DC1_PROFILE="work", **UNSAID).stderr
    assert "`dc1 login work` makes it" in told
    assert run("login", "work", stdin="dc1-renter-1\n", DC1_PROFILE="work", **NO_KEYS).exit_code == 0
    # A new key of it goes where the old one did.
    assert run("login", "work", stdin="dc1-renter-2\n", DC1_PROFILE="work", **UNSAID).exit_code == 0
    server.requests.clear()

    assert run("renter", "balance", "--json", DC1_PROFILE="work", **UNSAID).exit_code == 0
    assert server.requests[0].headers["x-renter-key"] == "dc1-renter-2"


def test_a_key_is_not_asked_for_to_be_told_in_clear(run: Run) -> None:
    result = run("login", "--url", "http://market.example.sa", stdin="dc1-renter-1\n", **NO_KEYS)
    assert result.exit_code == 1
    assert "in clear" in result.stderr
