"""Requests before they are messages."""

from contextvars import copy_context
from types import SimpleNamespace

from dc1.server.requests import headers_of, note_headers


class Context:
    """What gRPC gives a handler: it makes all headers of a call anew each time that it is asked for them."""

    def __init__(self) -> None:
        self.asked = 0

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        """Return them."""
        self.asked += 1
        return (("x-rest", "1"),)


def test_the_headers_of_a_call_are_made_once_and_kept_with_no_stream() -> None:
    def answer() -> None:
        context, found = Context(), (("x-provider-key", "secret"),)
        note_headers(SimpleNamespace(method="/dcp.v1.ProviderService/Connect", invocation_metadata=found))
        assert (headers_of(context), context.asked) == (found, 0)
        # A stream's task has nothing of them any more; whoever asks all the same is answered.
        assert (headers_of(context), context.asked) == ((("x-rest", "1"),), 1)

    copy_context().run(answer)
