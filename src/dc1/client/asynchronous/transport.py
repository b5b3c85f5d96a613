"""Calls over HTTP, sent again where that does no harm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from httpx_sse import EventSource, ServerSentEvent

from dc1.client.asynchronous.deadlines import AsyncBoundedTransport
from dc1.client.calls import (
    Answer,
    HttpCall,
    answer_of,
    http_options,
    is_event_stream,
    keyed,
    no_stream,
    put_together,
    reading,
    said_plainly,
)
from dc1.client.credentials import Target
from dc1.client.errors import ClientError
from dc1.client.retries import Attempts
from dc1.client.time_left import until


class AsyncTransport:
    """The connections to one marketplace, with one credential.

    Every call raises a RefusedError for an error answer, and another ClientError when there is no usable answer.
    """

    def __init__(self, target: Target, *, timeout_seconds: float = 30.0, retries: int | None = None) -> None:
        self._url = target.url.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._retries = retries
        self._is_known = False
        options = http_options(self._url, target.headers)
        carried = {name: options.pop(name) for name in ("verify", "proxy")}
        self._http = httpx.AsyncClient(**options, transport=AsyncBoundedTransport(**carried, trust_env=False))

    @property
    def is_known(self) -> bool:
        """Whether something has answered there."""
        return self._is_known

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def get(self, path: str, **query: Any) -> Answer:
        """Read `path`; a query parameter that is None is left out."""
        return await self.call(reading(path, query, self._timeout_seconds))

    async def get_until(self, path: str, ends_at: float) -> Answer:
        """Read `path`, and give up at `ends_at`, by `time.monotonic()`."""
        return await self.call(reading(path, {}, self._timeout_seconds, ends_at=ends_at))

    async def post(
        self, path: str, body: Mapping[str, Any] | None = None, *, timeout_seconds: float | None = None
    ) -> Answer:
        """Post a JSON object. It is sent again only where it surely had no effect.

        Args:
            path: where to.
            body: the object; an empty one where it is left out.
            timeout_seconds: how long it may take; as long as the client's where it is left out.
        """
        timeout = timeout_seconds or self._timeout_seconds
        return await self.call(HttpCall("POST", path, body=body or {}, timeout_seconds=timeout))

    async def post_once(
        self, path: str, body: Mapping[str, Any] | None = None, *, idempotency_key: str | None = None
    ) -> Answer:
        """Post to a route that honours an `Idempotency-Key`: however often it is sent, it takes effect once."""
        return await self.call(
            HttpCall(
                "POST",
                path,
                body=body or {},
                headers=keyed(idempotency_key),
                is_repeatable=True,
                timeout_seconds=self._timeout_seconds,
            )
        )

    async def patch(self, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """Patch with a JSON object."""
        return await self.call(HttpCall("PATCH", path, body=body or {}, timeout_seconds=self._timeout_seconds))

    async def delete(self, path: str) -> Answer:
        """Delete what is at `path`."""
        return await self.call(HttpCall("DELETE", path, timeout_seconds=self._timeout_seconds))

    async def call(self, call: HttpCall) -> Answer:
        """Send a call, again where that does no harm, and return its answer."""
        attempts = self._attempts(call)
        while True:
            try:
                return answer_of(self._url, await self._sent(call, attempts))
            except ClientError as error:
                await self._pause_after(error, attempts)

    @asynccontextmanager
    async def events(self, call: HttpCall) -> AsyncIterator[AsyncIterator[ServerSentEvent]]:
        """Open a stream of server-sent events, which is tried again only as long as it has not begun."""
        response = await self._opened_at_last(call)
        with said_plainly(self._url):
            try:
                yield EventSource(response).aiter_sse()
            finally:
                await response.aclose()

    def _attempts(self, call: HttpCall) -> Attempts:
        return Attempts(call, self._retries, again_seconds=self._timeout_seconds, is_known=self._is_known)

    async def _pause_after(self, error: ClientError, attempts: Attempts) -> None:
        """Wait until a call may be sent again; where it is not, what it failed of is raised."""
        pause = attempts.pause_after(error)
        if pause is None:
            raise error
        await asyncio.sleep(pause)

    async def _sent(self, call: HttpCall, attempts: Attempts) -> httpx.Response:
        with put_together():
            request = self._http.build_request(**call.options, timeout=attempts.left_seconds)
        with said_plainly(self._url), until(attempts.ends_at):
            response = await self._http.send(request)
        self._is_known = True
        return response

    async def _opened_at_last(self, call: HttpCall) -> httpx.Response:
        attempts = self._attempts(call)
        while True:
            try:
                return await self._opened(call)
            except ClientError as error:
                await self._pause_after(error, attempts)

    async def _opened(self, call: HttpCall) -> httpx.Response:
        with put_together():
            request = self._http.build_request(**call.streamed())
        with said_plainly(self._url):
            response = await self._http.send(request, stream=True)
            self._is_known = True
            if is_event_stream(response):
                return response
            try:
                await response.aread()
            finally:
                await response.aclose()
        raise no_stream(self._url, response)
