"""Commands of a marketplace's users: every one takes its secret from a file, and none says it to strangers in clear."""

import inspect
import time
from collections.abc import Callable
from functools import wraps
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints
from urllib.parse import urlsplit

import typer
from typer.models import OptionInfo

from dc1.cli.errors import CommandError
from dc1.cli.output import as_csv, console, notes
from dc1.client import find_target
from dc1.client.credentials import Role
from dc1.loopback import is_loopback
from dc1.secret_files import SecretFileError, cleaned, read_secret

_FLAGS = {
    "DC1_RENTER_KEY": "--key",
    "DC1_PROVIDER_KEY": "--key",
    "DC1_ADMIN_TOKEN": "--token",
    "DC1_ENGINE_API_KEY": "--engine-api-key",
}
"""The options whose values are secrets, by their variables; each has one beside it that names a file, `DC1_…_FILE`."""

_ROLES: dict[str, Role] = {"DC1_RENTER_KEY": "renter", "DC1_PROVIDER_KEY": "provider", "DC1_ADMIN_TOKEN": "admin"}

ProfileName = Annotated[
    str | None,
    typer.Option("--profile", envvar="DC1_PROFILE", help="A login's marketplace and key.", show_default=False),
]
Watch = Annotated[
    float | None,
    typer.Option("--watch", metavar="SECONDS", help="Ask again so often, until Ctrl-C.", min=0.1, show_default=False),
]
Output = Annotated[
    Literal["table", "json", "csv"] | None,
    typer.Option("--output", help="How the answer looks: json is the exact one.", show_default="table"),
]
Insecure = Annotated[
    bool, typer.Option("--insecure", envvar="DC1_INSECURE", help="Speak to another machine in clear, keys included.")
]


class Commands(typer.Typer):
    """A group of commands.

    One with a secret has an option for the file that holds it, one with an address has `--profile` and `--insecure`.
    Added here and not in each command, so that none can be without.
    """

    def command(self, name: str | None = None, *, watch: bool = False, **settings: Any) -> Callable[[Any], Any]:
        """Return what registers a function as a command; `watch` gives one that only reads an option to do it again."""
        register = super().command(name, **settings)

        def add(function: Any) -> Any:
            register(_guarded(function, watch=watch))
            return function

        return add


def _guarded(function: Any, *, watch: bool) -> Any:
    """Return a command that fills in what files hold and looks at where it is to go, before it runs."""
    signature, hints = inspect.signature(function), get_type_hints(function, include_extras=True)
    secrets = {name: option for name, hint in hints.items() if (option := _secret_option(hint)) is not None}
    added = {"context": typer.Context, **{f"{name}_file": _file_hint(option) for name, option in secrets.items()}}
    has_url = "url" in hints
    if has_url:
        added |= {"profile": ProfileName, "insecure": Insecure}
    if watch:
        added["watch"] = Watch
    if "as_json" in hints:
        added["output"] = Output
    defaults = {"context": Parameter.empty, "insecure": False}

    @wraps(function)
    def run(context: typer.Context, **given: Any) -> Any:
        for name, option in secrets.items():
            given[name] = _secret(context, name, option, given[name], given.pop(f"{name}_file"))
        typed = [_FLAGS[str(option.envvar)] for name, option in secrets.items() if _on_command_line(context, name)]
        style, every = given.pop("output", None), given.pop("watch", None)
        if has_url:
            _fill_in(context, given, secrets, given.pop("profile"))
            # What is no address of a marketplace at all is refused by the client, which says why.
            require_private(host_of(given["url"]), not given["url"].lower().startswith("http:"), given.pop("insecure"))
        given |= {"as_json": True} if style == "json" else {}
        with as_csv(style == "csv"):
            answer = function(**given)
            # Behind what was asked for; a refusal stays one sentence.
            _warn(typed)
            while every:
                time.sleep(every)
                # On a terminal one page in the place of the other; a file has all of them.
                console.clear()
                answer = function(**given)
        return answer

    # What the command line is made of; without the way back to the function, whose own signature it would be.
    del run.__dict__["__wrapped__"]
    run.__annotations__ = {**hints, **added}
    own = [parameter.replace(annotation=hints[name]) for name, parameter in signature.parameters.items()]
    more = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=defaults.get(name), annotation=hint)
        for name, hint in added.items()
    ]
    keyword_only = [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in own]
    run.__dict__["__signature__"] = signature.replace(parameters=[*keyword_only, *more])
    return run


def _fill_in(
    context: typer.Context, given: dict[str, Any], secrets: dict[str, OptionInfo], profile: str | None
) -> None:
    """Fill in what a login remembers where nothing else is said; a profile that is named comes before variables."""
    # A command has one key of a marketplace at most; a daemon's engine has another, which no login knows.
    name, option = next(((name, option) for name, option in secrets.items() if option.envvar in _ROLES), (None, None))
    is_named = profile is not None and _on_command_line(context, "profile")
    source = context.get_parameter_source("url")
    is_said = _on_command_line(context, "url") or (not is_named and source is not None and source.name != "DEFAULT")
    # A default is what nobody said, and a login's address comes before it.
    url = given["url"] if is_said else None
    if name is None or option is None:
        given["url"] = find_target(url, profile=profile if is_named else None).url
        return
    # Typed beside a profile, a key is for that profile's marketplace.
    is_typed = _on_command_line(context, name) or _on_command_line(context, f"{name}_file")
    key = given[name] if is_typed or not is_named else None
    role = _ROLES[str(option.envvar)]
    target = find_target(url, key, role=role, profile=profile if is_named else None)
    given["url"], given[name] = target.url, target.key


def require_private(host: str, encrypted: bool, insecure: bool) -> None:
    """Refuse to send a key to another machine in clear, where everybody on the way reads it.

    Raises:
        CommandError: it would be, and `insecure` does not say that this is meant.
    """
    if host and not encrypted and not insecure and not is_loopback(host):
        raise CommandError(
            f"{host} would be spoken to in clear, and everybody on the way could read the key: use https:// or --tls, or say "
            "--insecure if the way is private."
        )


def _warn(typed: list[str]) -> None:
    for flag in typed:
        notes.print(f"{flag} is seen in the list of processes; {flag}-file keeps it out of that.", style="yellow")


def host_of(address: str) -> str:
    """Return the host of a URL or of `host:port`, empty where there is none."""
    try:
        return urlsplit(address if "://" in address else f"//{address}").hostname or ""
    except ValueError:
        # Whoever uses the address says better what is wrong with it.
        return ""


def _secret_option(hint: Any) -> OptionInfo | None:
    """Return the option of a parameter that is a secret."""
    options = [item for item in getattr(hint, "__metadata__", ()) if isinstance(item, OptionInfo)]
    return next((option for option in options if option.envvar in _FLAGS), None)


def _file_hint(option: OptionInfo) -> Any:
    name = str(option.envvar)
    flag = _FLAGS[name]
    text = f"A file that holds it, in place of {flag}."
    return Annotated[Path | None, typer.Option(f"{flag}-file", envvar=f"{name}_FILE", help=text, show_default=False)]


def _secret(context: typer.Context, name: str, option: OptionInfo, value: str | None, file: Path | None) -> str | None:
    flag = _FLAGS[str(option.envvar)]
    is_typed, names_file = (_on_command_line(context, each) for each in (name, f"{name}_file"))
    if is_typed and names_file:
        raise CommandError(f"{flag} and {flag}-file are both given.")
    # What is typed comes before what the environment says, and there the value before the file.
    try:
        if file is None or (value and not names_file):
            return value and cleaned(value)
        return read_secret(file)
    except SecretFileError as error:
        raise CommandError(str(error)) from None
    except ValueError as fault:
        raise CommandError(f"{flag if is_typed else option.envvar} {fault}.") from None


def _on_command_line(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
