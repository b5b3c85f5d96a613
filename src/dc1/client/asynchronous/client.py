"""A marketplace, as a program calls it."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, overload

from dc1.client.asynchronous.accounts import AsyncProviderAccount, AsyncRenterAccount
from dc1.client.asynchronous.chats import AsyncChatStream, ask, chat_body
from dc1.client.asynchronous.jobs import AsyncJobs
from dc1.client.asynchronous.operations import AsyncMarketplace, AsyncOperations
from dc1.client.asynchronous.transport import AsyncTransport
from dc1.client.credentials import Role, Target, find_target
from dc1.client.events import ChatReply

_CHAT_SECONDS = 300.0
"""As long as a marketplace lets a call run that nobody set otherwise."""


class AsyncClient(AsyncTransport):
    """One marketplace, called with one key.

    What the rooms `jobs`, `renter`, `provider`, `admin` and `market` have no method for is called by its path:
    `get`, `post`, `post_once`, `patch` and `delete`.

    Args:
        url: where the marketplace is, or where and as whom as `find_target` says it; that is asked for all that is
            not said here.
        key: a renter's, a provider's or an operator's key.
        key_file: a file that holds it.
        role: whose key is looked for where none is given.
        profile: what `dc1 login` stored under that name.
        timeout_seconds: how long a call may take from its connection to the end of its answer, within which it is sent
            again where that does no harm.
        retries: how often a call is sent again at most; None for as often as there is time.
    """

    def __init__(
        self,
        url: str | Target | None = None,
        key: str | None = None,
        *,
        key_file: str | Path | None = None,
        role: Role | None = None,
        profile: str | None = None,
        timeout_seconds: float = 30.0,
        retries: int | None = None,
    ) -> None:
        if isinstance(url, Target):
            target = url
        else:
            target = find_target(url, key, key_file=key_file, role=role, profile=profile)
        super().__init__(target, timeout_seconds=timeout_seconds, retries=retries)
        self.jobs = AsyncJobs(self)
        self.renter = AsyncRenterAccount(self)
        self.provider = AsyncProviderAccount(self)
        self.admin = AsyncOperations(self)
        self.market = AsyncMarketplace(self)

    async def __aenter__(self) -> Self:
        """Return the client; leaving closes its connections."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @overload
    async def chat(
        self, model: str, prompt: str | list[dict[str, Any]], *, stream: Literal[False] = False, **options: Any
    ) -> ChatReply: ...

    @overload
    async def chat(
        self, model: str, prompt: str | list[dict[str, Any]], *, stream: Literal[True], **options: Any
    ) -> AsyncChatStream: ...

    async def chat(
        self, model: str, prompt: str | list[dict[str, Any]], *, stream: bool = False, **options: Any
    ) -> ChatReply | AsyncChatStream:
        """Ask a model, and return its whole answer or, with `stream`, the answer as it comes.

        Args:
            model: its name, as `market.models()` lists it.
            prompt: what the user says, or all messages so far.
            stream: whether the text is wanted as it comes.
            options: what else OpenAI's chat takes, `max_tokens` for one.
        """
        body = chat_body(model, prompt, options)
        return AsyncChatStream(self, body) if stream else await ask(self, body, _CHAT_SECONDS)
