"""What goes back to a caller beside the answer of a unary method: headers, the parts of a stream, and its early end."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any, TypeAlias

from dc1.domain.errors import ApiError
from dc1.server.method_options import MethodOptions
from dc1.services.api.call import Call

# grpc's stubs have no common type for the contexts of the four kinds of methods.
Context: TypeAlias = Any

_FAREWELL_SECONDS = 2.0


async def forward(responses: AsyncGenerator[Any, None], context: Context, call: Call, options: MethodOptions) -> None:
    """Write what a servicer yields, each as soon as it is there, behind the headers of the call."""
    async with aclosing(responses):
        started = False
        async for response in responses:
            if not started:
                await send_headers(context, call, options)
                started = True
            await context.write(response)


async def say_stopped(context: Context, call: Call, stopped: ApiError) -> None:
    """Tell the caller of an answer that its key ended it: who reads what came would take it for the whole.

    What was not begun is refused.
    """
    if call.farewell is None:
        raise stopped
    # Who reads nothing takes no farewell either, and what was being written may be in its way.
    with suppress(Exception):
        async with asyncio.timeout(_FAREWELL_SECONDS):
            await context.write(call.farewell(stopped))


async def send_headers(context: Context, call: Call, options: MethodOptions) -> None:
    """Send the headers that the servicer has set, and the status where it is another than 200."""
    headers = list(call.headers.items())
    status = call.http_status or options.success_status
    # The edge makes 200 of every answer that says nothing else.
    if status != 200:
        headers.append(("x-http-status", str(status)))
    if headers:
        await context.send_initial_metadata(tuple(headers))
