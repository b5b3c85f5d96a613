"""`dc1 login`, `logout` and `profiles`: keys that commands need not be told again."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from dc1.cli.commands import Commands, Insecure, host_of, require_private
from dc1.cli.errors import CommandError
from dc1.cli.output import listing, notes
from dc1.client import DEFAULT_URL, Client, Target
from dc1.client.credentials import OWN_PAGES, role_of
from dc1.client.profiles import DEFAULT_PROFILE, Profile, forget_profile, keep_profile, read_profiles
from dc1.secret_files import SecretFileError, cleaned, read_secret

app = Commands()

Name = Annotated[str, typer.Argument(metavar="[PROFILE]", help="Under which name.", show_default=True)]

# Not `url`, which is filled in from profiles: a login makes one, and must not need it.
Marketplace = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="DC1_URL",
        help="Where the marketplace is; where it was, for a profile that is there.",
        show_default=DEFAULT_URL,
    ),
]


@app.command("login")
def login(
    name: Name = DEFAULT_PROFILE,
    key_file: Annotated[
        Path | None, typer.Option(help="A file that holds the key or token; asked for without.", show_default=False)
    ] = None,
    marketplace: Marketplace = None,
    insecure: Insecure = False,
) -> None:
    """Remember a marketplace and a key. A profile has one for each role."""
    kept = read_profiles().get(name, [])
    url = marketplace or next((one.url for one in kept if one.url), DEFAULT_URL)
    require_private(host_of(url), not url.lower().startswith("http:"), insecure)
    key = _key(key_file)
    role = role_of(key)
    with Client(Target(url, key, role)) as client:
        client.get(OWN_PAGES[role])
    # After the server took it: a mistyped key is told here and not by the next command.
    file = keep_profile(name, Profile(url, role, key))
    notes.print(f"Logged in to {url} as {role}: profile {name} in {file}.", soft_wrap=True)


@app.command("logout")
def logout(name: Name = DEFAULT_PROFILE) -> None:
    """Forget a profile with all its keys; the keys stay good."""
    if not forget_profile(name):
        raise CommandError(f"There is no profile {name!r}.")
    notes.print(f"Profile {name} is forgotten.")


@app.command("profiles")
def profiles() -> None:
    """List what is remembered, without the keys."""
    listing(
        ["profile", "role", "marketplace"],
        ([name, one.role, one.url] for name, kept in sorted(read_profiles().items()) for one in kept),
        empty="No profile; `dc1 login` makes one.",
    )


def _key(file: Path | None) -> str:
    # Never an option's value: it would be in the shell's history for good.
    try:
        if file is not None:
            return read_secret(file)
        text = typer.prompt("Key or token", hide_input=True) if sys.stdin.isatty() else sys.stdin.read()
        key = cleaned(text)
    except SecretFileError as error:
        raise CommandError(str(error)) from None
    except ValueError as fault:
        raise CommandError(f"The key {fault}.") from None
    if not key:
        raise CommandError("There is no key: give --key-file, or the key on standard input.")
    return key
