"""What a job and a chat say while they run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from httpx_sse import ServerSentEvent

from dc1.client.errors import ConnectionBrokenError, NoMarketplaceError, RefusedError, UnavailableError


@dataclass(frozen=True, slots=True)
class StreamedEvent:
    """Something a job's log stream said.

    Attributes:
        kind: `log` for a stored line, `token` for generated text, `end` for the last event.
        data: the event's JSON object.
    """

    kind: Literal["log", "token", "end"]
    data: dict[str, Any]

    @property
    def json(self) -> str:
        """The event as one line of JSON."""
        return json.dumps({"event": self.kind, **self.data}, ensure_ascii=False)

    @property
    def text(self) -> str:
        """Generated text, or a log line; empty at the end."""
        return str(self.data.get("text") or self.data.get("line") or "")


def job_event(frame: ServerSentEvent) -> StreamedEvent | None:
    """Return what a frame of a log stream says; None for one that says nothing."""
    if not frame.data:
        return None
    data = _object(frame.data)
    return StreamedEvent("token" if frame.event == "token" else "end" if frame.event == "end" else "log", data)


@dataclass(frozen=True, slots=True)
class ChatReply:
    """A whole answer to a chat.

    Attributes:
        text: what the model says.
        body: the answer as OpenAI's API has it, with what else the engine gave.
    """

    text: str
    body: dict[str, Any]

    @property
    def job_id(self) -> str:
        """The job that the chat is; its bill is in it."""
        return str(self.body["id"])

    @property
    def usage(self) -> Mapping[str, Any]:
        """The tokens that are paid."""
        usage: Mapping[str, Any] = self.body.get("usage") or {}
        return usage


@dataclass(slots=True)
class ChatProgress:
    """What a streamed chat has said so far.

    Attributes:
        job_id: the job that the chat is; empty before the first chunk.
        usage: the tokens that are paid; empty before the last chunk.
        has_ended: whether that was all.
    """

    job_id: str = ""
    usage: dict[str, Any] = field(default_factory=dict)
    has_ended: bool = False

    def take(self, data: str) -> str:
        """Return the text of one event; an error in it is raised."""
        if data == "[DONE]":
            self.has_ended = True
        if not data or self.has_ended:
            return ""
        chunk = _object(data)
        if "error" in chunk:
            raise _failed(chunk)
        self.job_id = chunk.get("id") or self.job_id
        self.usage = chunk.get("usage") or self.usage
        return "".join(str((choice.get("delta") or {}).get("content") or "") for choice in chunk.get("choices") or [])

    def require_end(self) -> None:
        """Refuse to take a part for the whole.

        Raises:
            ConnectionBrokenError: the answer broke off.
        """
        if not self.has_ended:
            raise ConnectionBrokenError("The answer broke off before its end.")


def _object(data: str) -> dict[str, Any]:
    try:
        parsed = json.loads(data)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise NoMarketplaceError("An event came without a JSON object; is a dc1 marketplace there?")
    return parsed


def _failed(chunk: dict[str, Any]) -> RefusedError:
    # The answer had begun, so that its status was 200; what failed is behind the server.
    return UnavailableError(503, chunk)


def reply_of(body: dict[str, Any]) -> ChatReply:
    """Return the answer to a chat."""
    choices = body.get("choices") or [{}]
    return ChatReply(str((choices[0].get("message") or {}).get("content") or ""), body)


def conversation(prompt: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the messages of a chat: a text is one of the user."""
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
