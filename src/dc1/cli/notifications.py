"""`dc1 … notifications`: where an account is told of what concerns it, the same for renters, owners and operators."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import typer

from dc1.cli.commands import Commands
from dc1.cli.options import AsJson, Url
from dc1.cli.output import emit, facts, listing, moment
from dc1.client import DEFAULT_URL, Client, Target, path

Kind = Literal["slack", "telegram", "webhook", "email"]
Channel = Annotated[int, typer.Argument(metavar="CHANNEL", help="Its number, as `list` shows it.", min=1)]


def notification_commands(secret: Any, market: Callable[[str, str | None], Target]) -> Commands:
    """Return the commands of one role: `secret` is the option of its key, `market` says where it calls, and as whom."""
    app = Commands(help="Where one is told of what happens, without looking.", no_args_is_help=True)

    def show(key: str | None = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
        """List the channels, and what one can be told of."""
        with Client(market(url, key)) as client:
            emit(client.get("/notifications"), as_json, _show_channels)

    def add(
        kind: Annotated[Kind, typer.Argument(help="How to be told.")],
        target: Annotated[str, typer.Argument(help="Where: an https address, a bot's token/chat, an e-mail address.")],
        events: Annotated[
            list[str] | None, typer.Option("--event", help="Of what, again for each; of all without.")
        ] = None,
        language: Annotated[Literal["en", "ar"], typer.Option(help="Language of the texts.")] = "en",
        key: str | None = None,
        url: Url = DEFAULT_URL,
        as_json: AsJson = False,
    ) -> None:
        """Add a channel."""
        # None would be a value of its own on the wire; no events are all of them.
        body = {"kind": kind, "target": target, "events": events or [], "language": language}
        with Client(market(url, key)) as client:
            emit(client.post("/notifications", body), as_json, lambda answer: _show_channel(answer["channel"]))

    def confirm(
        channel: Channel,
        code: Annotated[str, typer.Argument(help="The digits that were mailed there.")],
        key: str | None = None,
        url: Url = DEFAULT_URL,
        as_json: AsJson = False,
    ) -> None:
        """Confirm an e-mail address by the code that was sent there."""
        with Client(market(url, key)) as client:
            answer = client.post(path("notifications", channel, "confirm"), {"code": code})
            emit(answer, as_json, lambda _: facts({"channel": channel, "confirmed": True}))

    def test(channel: Channel, key: str | None = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
        """Send a test to a channel; `list` says soon after whether it arrived."""
        with Client(market(url, key)) as client:
            answer = client.post(path("notifications", channel, "test"))
            # Not "arrived": it is sent behind the answer.
            emit(answer, as_json, lambda _: facts({"channel": channel, "test": "on its way"}))

    def remove(channel: Channel, key: str | None = None, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
        """Remove a channel, with what was still to be told there."""
        with Client(market(url, key)) as client:
            answer = client.delete(path("notifications", channel))
            emit(answer, as_json, lambda _: facts({"channel": channel, "removed": True}))

    # Made anew for each role, as the option of a key says whose it is in its help and its variable.
    for name, command in {"list": show, "add": add, "confirm": confirm, "test": test, "remove": remove}.items():
        # Known only here, and what an option is made of.
        command.__annotations__["key"] = secret
        app.command(name)(command)
    return app


def _show_channels(body: dict[str, Any]) -> None:
    listing(
        ["channel", "kind", "where", "language", "last sent", "last error", "events"],
        (
            [
                each["id"],
                each["kind"],
                each["hint"],
                each["language"],
                moment(each["last_sent_at"]),
                each["last_error"],
                each["events"],
            ]
            for each in body["channels"]
        ),
        title=f"Can be told of: {', '.join(body['events'])}",
        empty=f"No channels. Can be told of: {', '.join(body['events'])}",
    )


def _show_channel(channel: dict[str, Any]) -> None:
    facts(
        {
            "channel": channel["id"],
            "kind": channel["kind"],
            "where": channel["hint"],
            "language": channel["language"],
            # Absent from markets that ask for no code.
            "confirmed": channel.get("confirmed", True),
            "events": channel["events"],
        }
    )
