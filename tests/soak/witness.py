"""What the clients of a soak see, and their way to call."""

import contextlib
from collections import Counter
from collections.abc import AsyncGenerator
from typing import Any

import httpx
from httpx_sse import ServerSentEvent, aconnect_sse

from dc1.testing.rest import Json, check_refusal, credential

_PROBLEMS_KEPT = 20
_ANSWER_SECONDS = 30
_IDLE_SECONDS = 120


class UnexpectedError(Exception):
    """A client was answered what it should not have been; the witness knows of it."""


class Witness:
    """What all clients saw, in numbers, and the first of what they should not have seen."""

    def __init__(self) -> None:
        self.answers: Counter[int] = Counter()
        """Answers by status."""
        self.streams: Counter[str] = Counter()
        """SSE streams by their end: `ended` by the server, `left` by the client; and `frames` of all of them."""
        self.acknowledged: set[int] = set()
        """Row ids of the jobs whose submission was answered with 201."""
        self.problems: list[str] = []
        self.problem_count = 0

    def complain(self, problem: str) -> None:
        self.problem_count += 1
        if len(self.problems) < _PROBLEMS_KEPT:
            self.problems.append(problem)


class Client:
    """A person or a machine with one key and connections of its own."""

    def __init__(self, url: str, key: str, witness: Witness) -> None:
        self._witness = witness
        self._http = httpx.AsyncClient(
            base_url=url,
            headers=credential(key),
            timeout=_ANSWER_SECONDS,
            limits=httpx.Limits(keepalive_expiry=_IDLE_SECONDS),
            verify=False,
            trust_env=False,
        )

    async def call(
        self, method: str, path: str, *wanted: int, json: Json | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """The answer, whose status must be one of those `wanted`, 200 by default."""
        try:
            response = await self._http.request(method, path, json=json, headers=headers)
            self._witness.answers[response.status_code] += 1
            check_refusal(response)
        except (httpx.TransportError, AssertionError) as error:
            raise self.unexpected(f"{method} {path}: {error!r}") from None
        if response.status_code not in (wanted or (200,)):
            raise self.unexpected(f"{method} {path}: {response.status_code} {response.text}")
        return response

    async def get(self, path: str, *wanted: int) -> Any:
        """The JSON of an answer."""
        return (await self.call("GET", path, *wanted)).json()

    async def events(self, path: str) -> AsyncGenerator[ServerSentEvent, None]:
        """The frames of a stream, up to the one that says the end. Close it to leave earlier."""
        try:
            async with aconnect_sse(self._http, "GET", path) as source:
                self._witness.answers[source.response.status_code] += 1
                async for event in source.aiter_sse():
                    if not event.data:
                        continue  # the one that says how soon to come back
                    self._witness.streams["frames"] += 1
                    yield event
                    if event.event == "end":
                        self._witness.streams["ended"] += 1
                        return
        except httpx.TransportError as error:
            raise self.unexpected(f"GET {path}: {error!r}") from None
        except GeneratorExit:
            self._witness.streams["left"] += 1
            raise
        raise self.unexpected(f"GET {path}: the stream stopped without its end")

    def unexpected(self, problem: str) -> UnexpectedError:
        """Complain, and return what to raise."""
        self._witness.complain(problem)
        return UnexpectedError(problem)

    async def close(self) -> None:
        with contextlib.suppress(httpx.TransportError):
            await self._http.aclose()
