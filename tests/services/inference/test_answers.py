"""What fails while an answer is told is told too, up to its last word."""

from collections.abc import AsyncGenerator
from typing import Any
from unittest.mock import Mock

import pytest

from dc1.domain import errors
from dc1.domain.errors import ApiError
from dc1.services.api.call import ANYBODY, Call, enter
from dc1.services.inference import answers
from dc1.services.inference.answers import ChatDialect, streamed


class Refusing(ChatDialect):
    """Takes nothing that comes at the end, as of more than can be told."""

    def end(self) -> bytes:
        raise errors.provider_unavailable("Too much")


@pytest.mark.parametrize("is_begun", [True, False])
async def test_what_cannot_be_told_at_the_end_is_an_event(monkeypatch: pytest.MonkeyPatch, *, is_begun: bool) -> None:
    async def batches() -> AsyncGenerator[list[str], None]:
        if is_begun:
            yield [""]

    monkeypatch.setattr(answers, "_last_chunks", lambda *_, **__: [])
    monkeypatch.setattr(answers, "_head", lambda *_: {})
    enter(Call("/dcp.v1.OpenAIService/CreateResponse", ANYBODY, "r", "", is_rest=True, metadata={}))
    completion: Any = Mock(batches=batches)
    told: list[bytes] = []
    try:
        # One by one, for what was told before it failed is looked at.
        async for body in streamed(completion, Refusing()):
            told += [body.data]
    except ApiError:
        # Its own status, for nothing was said.
        assert not is_begun
        assert not told
    else:
        assert b"Too much" in told[-1]
        assert is_begun
