"""The options that commands share."""

from pathlib import Path
from typing import Annotated

import typer

from dc1.cli.errors import CommandError
from dc1.client import Target

# `dc1 up` and `dc1 serve` tell of variables that are no settings; these are none, and rightly there.
COMMAND_VARIABLES = frozenset(
    f"DC1_{name}"
    for name in (
        *("PROFILE", "URL", "RENTER_KEY", "PROVIDER_KEY", "ADMIN_TOKEN"),
        *(
            "SERVER",
            "TLS",
            "CA_FILE",
            "ENGINE_URL",
            "ENGINE_API_KEY",
            "MODEL",
            "ENGINE_CONCURRENCY",
            "CONTAINER_SOCKET",
            "DAEMON_DRAIN_SECONDS",
            "DAEMON_METRICS_ADDRESS",
            "DAEMON_METRICS_TOKEN",
        ),
        *("INSECURE", "LOG_FORMAT", "CONTAINER_DISK_GIB"),
        *("RENTER_KEY_FILE", "PROVIDER_KEY_FILE", "ADMIN_TOKEN_FILE", "ENGINE_API_KEY_FILE", "TO_DATABASE_URL"),
    )
)
"""The variables that take the place of options."""

Url = Annotated[str, typer.Option("--url", envvar="DC1_URL", help="Where the marketplace is.")]
# Every command has it, so that scripts need no parser for tables.
AsJson = Annotated[bool, typer.Option("--json", help="Print the exact JSON answer and nothing else.")]
RenterKey = Annotated[
    str | None,
    typer.Option("--key", envvar="DC1_RENTER_KEY", show_envvar=True, help="The renter's key.", show_default=False),
]
ProviderKey = Annotated[
    str | None, typer.Option("--key", envvar="DC1_PROVIDER_KEY", help="The provider's key.", show_default=False)
]
AdminToken = Annotated[
    str | None,
    typer.Option("--token", envvar="DC1_ADMIN_TOKEN", help="The admin token, or an operator's.", show_default=False),
]
EngineUrl = Annotated[
    str | None,
    typer.Option(
        envvar="DC1_ENGINE_URL",
        help="An OpenAI-compatible server for inference jobs: vLLM, llama.cpp, Ollama …",
        show_default=False,
    ),
]
EngineApiKey = Annotated[
    str | None, typer.Option(envvar="DC1_ENGINE_API_KEY", help="Bearer token for the engine.", show_default=False)
]
ModelFile = Annotated[
    Path | None,
    typer.Option(
        envvar="DC1_MODEL",
        help="A GGUF file for the built-in engine to serve, in place of an engine of your own.",
        show_default=False,
    ),
]
ContainerSocket = Annotated[
    str | None,
    typer.Option(
        envvar="DC1_CONTAINER_SOCKET",
        help="The container engine's address, for example unix:///run/podman/podman.sock; found when not given.",
        show_default=False,
    ),
]
IdempotencyKey = Annotated[
    str | None,
    typer.Option(
        "--idempotency-key", help="Repeat the command with the same key and it takes effect once.", show_default=False
    ),
]

Page = Annotated[int, typer.Option(help="Which page, from 1.", min=1)]
PageSize = Annotated[int, typer.Option("--limit", help="How many a page.", min=1, max=200)]
Limit = Annotated[int, typer.Option(help="How many at most.", min=1, max=100)]
Offset = Annotated[int, typer.Option(help="How many to pass over, from the newest.", min=0)]


def renter_target(url: str, key: str | None) -> Target:
    """Return the marketplace as a renter calls it, or raise CommandError when there is no key."""
    if not key:
        raise CommandError(
            "A renter key is needed: give --key-file or --key, set DC1_RENTER_KEY, or `dc1 login` (`dc1 renter register` makes one)."
        )
    return Target(url, key, "renter")


def provider_target(url: str, key: str | None) -> Target:
    """Return the marketplace as an owner calls it, or raise CommandError when there is no key."""
    if not key:
        raise CommandError(
            "A provider key is needed: give --key-file or --key, set DC1_PROVIDER_KEY, or `dc1 login` (`dc1 provider register` makes one)."
        )
    return Target(url, key, "provider")


def admin_target(url: str, token: str | None) -> Target:
    """Return the marketplace as an operator calls it, or raise CommandError when there is no token."""
    if not token:
        raise CommandError(
            "An admin token is needed: give --token-file or --token, set DC1_ADMIN_TOKEN, or `dc1 login` (`dc1 up` prints the one it made)."
        )
    return Target(url, token, "admin")
