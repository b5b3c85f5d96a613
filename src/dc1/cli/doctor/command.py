"""`dc1 doctor renter`, `owner` and `operator`: what each side needs, looked at in turn."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import typer

from dc1.cli.commands import Commands, host_of, require_private
from dc1.cli.doctor.checks import Finding, connection, disk
from dc1.cli.options import (
    AdminToken,
    AsJson,
    ContainerSocket,
    EngineApiKey,
    EngineUrl,
    ModelFile,
    ProviderKey,
    RenterKey,
    Url,
    admin_target,
    provider_target,
    renter_target,
)
from dc1.cli.output import encodable, listing
from dc1.client import DEFAULT_URL, Client, ClientError, Target
from dc1.client.calls import http_options
from dc1.client.credentials import OWN_PAGES, Role

app = Commands(help="Say what is wrong between this machine and a marketplace.", no_args_is_help=True)


@app.command("renter")
def doctor_renter(key: RenterKey = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Look at the way to the marketplace, the clock and the key."""
    _tell([*_way(url), _key(renter_target, url, key, "renter")], as_json)


@app.command("owner")
def doctor_owner(
    key: ProviderKey = None,
    url: Url = DEFAULT_URL,
    engine_url: EngineUrl = None,
    engine_api_key: EngineApiKey = None,
    model: ModelFile = None,
    container_socket: ContainerSocket = None,
    as_json: AsJson = False,
) -> None:
    """Look at the same, at the card's driver, container engine and engine of inference, and at the disk."""
    if engine_url and engine_api_key:
        # As the daemon itself refuses to.
        require_private(host_of(engine_url), not engine_url.lower().startswith("http:"), insecure=False)
    way = [*_way(url), _key(provider_target, url, key, "provider")]
    _tell([*way, *_machine(container_socket, engine_url or None, engine_api_key, model), disk(Path.home())], as_json)


@app.command("operator")
def doctor_operator(token: AdminToken = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Look at the same, at settings, database and books, and at the disk."""
    _tell([*_way(url), _key(admin_target, url, token, "admin"), *_server()], as_json)


def _way(url: str) -> Iterator[Finding]:
    # What is no address at all is refused in one sentence, and nothing else can be looked at.
    http_options(url, {})
    return connection(url)


def _key(target: Callable[[str, str | None], Target], url: str, key: str | None, role: Role) -> Finding:
    if not key:
        return Finding("key", None, "None is given.")
    # Once: who looks for what is wrong should not wait for it to mend itself.
    try:
        with Client(target(url, key), retries=0) as client:
            client.get(OWN_PAGES[role])
    except ClientError as error:
        return Finding("key", False, str(error))
    return Finding("key", True, "The marketplace takes it.")


def _machine(
    container_socket: str | None, engine_url: str | None, engine_api_key: str | None, model: Path | None
) -> Iterator[Finding]:
    # Here and not above: all of it takes a second that other commands do without, and need not be installed.
    try:
        from dc1.cli.doctor.machine import built_in_engine, container_engine, driver, inference_engine
    except ModuleNotFoundError as error:
        yield _not_installed("daemon", error)
        return

    yield driver()
    yield container_engine(container_socket)
    yield inference_engine(engine_url, engine_api_key, model) if engine_url else built_in_engine(model)


def _server() -> Iterator[Finding]:
    try:
        from dc1.settings.settings import Settings, SettingsError
        from dc1.storage.engine.database import UnusableDatabaseError
        from dc1.storage.transfer.care import examine, examine_standby
    except ModuleNotFoundError as error:
        yield _not_installed("server", error)
        return

    try:
        settings = Settings.load()
    except SettingsError as error:
        yield Finding("settings", False, str(error))
        return
    yield Finding("settings", True, "They can be used.")
    # Past a pooler by transaction, as for `dc1 db check`.
    primary = settings.database_direct_url or settings.resolved_database_url
    try:
        found = examine(primary)
        state = f"{len(found.missing)} revisions behind" if found.missing else "up to date"
        yield Finding("database", not found.problems, "; ".join(found.problems) or f"{found.engine}, {state}.")
    except (UnusableDatabaseError, OSError) as error:
        yield Finding("database", False, str(error))
    if settings.database_read_url:
        try:
            behind = examine_standby(settings.database_read_url, primary)
            yield Finding("standby", True, f"It follows the database, {behind} bytes behind.")
        except UnusableDatabaseError as error:
            # Lists and history come from the primary then, and nothing fails.
            yield Finding("standby", None, str(error))
    data = Path(settings.data_dir)
    yield disk(data if data.exists() else Path.cwd())


def _not_installed(extra: str, error: ModuleNotFoundError) -> Finding:
    return Finding("installation", False, f"{error.name} is missing: pip install 'dc1[{extra}]' brings it.")


_WORDS: dict[bool | None, Literal["good", "bad", "not known"]] = {True: "good", False: "bad", None: "not known"}


def _tell(findings: Iterable[Finding], as_json: bool) -> None:
    found = list(findings)
    told = {"findings": [asdict(one) for one in found]}
    # As `emit` has it for the answers of a marketplace.
    if as_json:
        print(encodable(json.dumps(told, ensure_ascii=False)))
    else:
        listing(["what", "is", "because"], ([one.thing, _WORDS[one.is_good], one.told] for one in found), empty="")
    # For scripts, as a followed job has it.
    if any(one.is_good is False for one in found):
        raise typer.Exit(1)
