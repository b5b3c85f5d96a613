# Made of `asynchronous/chats.py` by `make gen`; edited there.
"""Chats with models, in one piece or as they come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dc1.client.calls import HttpCall
from dc1.client.errors import ClientError
from dc1.client.events import ChatProgress, ChatReply, conversation, reply_of
from dc1.client.synchronous.transport import Transport

_PATH = "/v1/chat/completions"


class ChatStream:
    """An answer as it comes: iterate over it for the text.

    Attributes:
        progress: what is known beside the text: `job_id` from the first piece on, `usage` with the last one.
    """

    def __init__(self, transport: Transport, body: dict[str, Any]) -> None:
        self._transport = transport
        self._body = {**body, "stream": True, "stream_options": {"include_usage": True}}
        self.progress = ChatProgress()
        self._is_asked = False

    def __iter__(self) -> Iterator[str]:
        if self._is_asked:
            # It would be paid twice, too.
            raise ClientError("An answer comes once; ask again for another.")
        self._is_asked = True
        with self._transport.events(HttpCall("POST", _PATH, body=self._body)) as frames:
            for frame in frames:
                if text := self.progress.take(frame.data):
                    yield text
        self.progress.require_end()


def ask(transport: Transport, body: dict[str, Any], timeout_seconds: float) -> ChatReply:
    """Return the whole answer to a chat. It is not asked twice, as it would be paid twice."""
    return reply_of((transport.post(_PATH, body, timeout_seconds=timeout_seconds)).body)


def chat_body(model: str, prompt: str | list[dict[str, Any]], options: dict[str, Any]) -> dict[str, Any]:
    """Return what a chat is asked with."""
    return {"model": model, "messages": conversation(prompt), **options}
