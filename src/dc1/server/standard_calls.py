"""Standard health and reflection: everybody may call them, so few streams of an address stay, and none for ever."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, TypeAlias

import grpc
import structlog

from dc1.server.listening.addresses import counted_as

# grpc's stubs have no common type for the handlers of the four kinds of methods.
Handler: TypeAlias = Any
Context: TypeAlias = Any

MAX_STREAMS = 500
MAX_STREAMS_OF_AN_ADDRESS = 20
MESSAGES_AT_ONCE = 5
"""What a stream may ask without a pause: an answer of reflection has up to 93 KiB, and takes 1.6 ms."""
MESSAGE_SECONDS = 0.2
_LONGEST_SECONDS = 600.0
"""How long a stream may stay; whoever watches longer opens another."""
_log = structlog.get_logger(__name__)


class StandardCalls:
    """Streams of standard services, counted in total and by address. One message for one answer costs too little."""

    def __init__(
        self,
        address_of: Callable[[Context], str],
        on_refused: Callable[[str, str], None],
        streaming: Callable[[str], AbstractContextManager[None]],
        *,
        longest_seconds: float = _LONGEST_SECONDS,
    ) -> None:
        """`on_refused` is told the method and the address of each stream that is one too many.

        `streaming` counts those of a method that are open.
        """
        self._address_of = address_of
        self._on_refused = on_refused
        self._streaming = streaming
        self._longest_seconds = longest_seconds
        self._open: Counter[str] = Counter()

    def wrap(self, method: str, handler: Handler) -> Handler:
        """Return the handler with limits around it, where it answers with a stream."""
        if not handler.response_streaming:
            return handler
        coders: dict[str, Any] = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(
                self._limited(method, _conversing(handler.stream_stream)), **coders
            )
        return grpc.unary_stream_rpc_method_handler(self._limited(method, handler.unary_stream), **coders)

    def _limited(self, method: str, behaviour: Callable[[Any, Context], Any]) -> Handler:
        async def stream(requests: Any, context: Context) -> None:
            address = counted_as(self._address_of(context))
            if self._open[address] >= MAX_STREAMS_OF_AN_ADDRESS or self._open.total() >= MAX_STREAMS:
                self._on_refused(method, address)
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Rate limit exceeded")
            with self._counted(method, address), self._streaming(method):
                timeout = asyncio.timeout(self._longest_seconds)
                with suppress(TimeoutError):
                    async with timeout:
                        await _answer(behaviour(requests, context), context)
            if timeout.expired():
                await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "Streams end after a while")

        return stream

    @contextmanager
    def _counted(self, method: str, address: str) -> Iterator[None]:
        self._open[address] += 1
        started = time.perf_counter()
        try:
            yield
        finally:
            self._open[address] -= 1
            # Kept for who has streams alone: addresses are for callers to choose.
            if not self._open[address]:
                del self._open[address]
            seconds = round(time.perf_counter() - started, 1)
            _log.info("standard_call", method=method, status="ended", address=address, seconds=seconds)


def _conversing(behaviour: Callable[[Any, Context], Any]) -> Callable[[Any, Context], Any]:
    return lambda requests, context: behaviour(_paced(requests), context)


async def _paced(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """Give what a stream asks, slower once it has asked much: its answers are a thousand times the size of it."""
    taken = 0
    async for request in requests:
        yield request
        taken += 1
        if taken >= MESSAGES_AT_ONCE:
            await asyncio.sleep(MESSAGE_SECONDS)


async def _answer(answers: AsyncGenerator[Any, None] | Awaitable[None], context: Context) -> None:
    # Reflection yields, and health writes by itself.
    if isinstance(answers, AsyncGenerator):
        async for answer in answers:
            await context.write(answer)
    else:
        await answers
