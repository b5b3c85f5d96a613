"""The tables of settings say what the code takes: every variable, its default and its meaning."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import typer.main
from pydantic.fields import FieldInfo

from dc1.cli.app import app
from dc1.cli.options import COMMAND_VARIABLES
from dc1.settings.settings import Settings
from tests.docs.pages import page

_PAGE = page("docs/settings.md")


def test_the_marketplace_s_table_lists_every_setting_with_its_default() -> None:
    expected = [setting_row(name, field) for name, field in Settings.model_fields.items()]

    assert _PAGE.table_rows("The marketplace") == expected, "\n".join(expected)


def test_the_daemon_s_table_lists_every_variable_of_its_command() -> None:
    expected = [
        f"| `{option.envvar}` | `{option.opts[0]}` | {default_text(option.default)} | {option.help} |"
        for option in options_of("daemon")
    ]

    assert _PAGE.table_rows("The daemon") == expected, "\n".join(expected)


def test_the_command_line_s_table_lists_the_other_variables() -> None:
    others = {option.envvar for option in options_of("daemon")} | {
        f"DC1_{name.upper()}" for name in Settings.model_fields
    }
    rows = _PAGE.table_rows("The command line")

    # A renter's and a provider's key have one option's name, and the admin token is a setting too.
    assert {row.split("`")[1] for row in rows} == (COMMAND_VARIABLES - others) | {"DC1_PROVIDER_KEY", "DC1_ADMIN_TOKEN"}


def options_of(command: str) -> Iterator[Any]:
    """The options of a command that a variable can take the place of."""
    root: Any = typer.main.get_command(app)
    return (option for option in root.commands[command].params if getattr(option, "envvar", None))


def setting_row(name: str, field: FieldInfo) -> str:
    return f"| `DC1_{name.upper()}` | {default_text(field.default)} | {field.description} |"


def default_text(default: Any) -> str:
    match default:
        case None | ():
            return ""
        case bool():
            return f"`{str(default).lower()}`"
        case tuple():
            return f"`{','.join(map(str, default))}`"
        case dict():
            return "`{" + ",".join(f'"{key}":{value}' for key, value in default.items()) + "}`"
        case float() | Decimal():
            return f"`{default:f}`" if default % 1 else f"`{int(default)}`"
        case _:
            return f"`{default}`"
