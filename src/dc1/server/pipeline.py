"""What happens around every call: one interceptor, driven by the methods' options.

In this order: the fields that the path names, the credential's presence, the shape check of the method, the look-up,
the rate limit, the scopes, the normaliser of the method, its Idempotency-Key, the field rules; then the servicer; then
the audit entry, the answer's status and headers, and the log line.
"""

import re
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final, TypeAlias, TypeVar

import grpc
import structlog
from google.protobuf.message import DecodeError, Message

from dc1.domain.errors import ApiError, database_unwritable, internal_error, malformed_json, service_unavailable
from dc1.server.addresses import Network, client_address
from dc1.server.audit import CLIENT_GONE, Auditor
from dc1.server.authentication import SECRET_HEADERS, Authenticator, require_rights
from dc1.server.error_encoding import fitted, status_code, trailers
from dc1.server.field_rules import FieldRules
from dc1.server.in_flight import InFlight
from dc1.server.method_options import GENERAL_BUCKET, Bucket, CountedBy, MethodOptions, fill_from_path, options_of
from dc1.server.rate_limits import RateLimiter, Subject
from dc1.services.api.call import ANYBODY, Call, Principal, enter
from dc1.services.api.hooks import MethodHooks, hooks_of
from dc1.services.api.idempotency import IdempotentCalls
from dc1.services.api.shielding import ShieldedWork
from dc1.storage.engine.unwritable import is_unwritable

_UNGUARDED = ("/grpc.health.v1.", "/grpc.reflection.v1alpha.")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_log = structlog.get_logger(__name__)

# grpc's stubs have no common type for the handlers of the four kinds of methods.
Handler: TypeAlias = Any
Context: TypeAlias = Any

M = TypeVar("M", bound=Message)


class Pipeline(grpc.aio.ServerInterceptor):
    """Wraps the handlers of all services. Standard health and reflection are left alone."""

    def __init__(
        self,
        authenticator: Authenticator,
        limiter: RateLimiter,
        auditor: Auditor,
        idempotent: IdempotentCalls,
        trusted_edges: Sequence[Network] = (),
    ) -> None:
        """Make a pipeline that takes a client's address from peers in `trusted_edges`."""
        self._authenticator = authenticator
        self._limiter = limiter
        self._auditor = auditor
        self._idempotent = idempotent
        self._trusted_edges = trusted_edges
        self._rules = FieldRules()
        self._wrapped: dict[str, Handler] = {}
        self._work = ShieldedWork()
        self._calls = InFlight()
        # Counted apart: a daemon's stream has no end of its own, and outlasts the calls that are answered on it.
        self._streams = InFlight()
        self._draining = False

    async def drain(self, grace_seconds: float) -> bool:
        """Refuse new calls with 503 from now on; return whether those in flight ended within `grace_seconds`.

        Streams in both directions, which daemons hold, are not waited for.
        """
        self._draining = True
        return await self._calls.ended(grace_seconds)

    async def streams_ended(self, grace_seconds: float) -> bool:
        """Return whether the streams of daemons ended within `grace_seconds`."""
        return await self._streams.ended(grace_seconds)

    def cut_off(self) -> None:
        """Cancel the calls that are still in flight."""
        self._work.cut_off()

    async def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]], details: grpc.HandlerCallDetails
    ) -> Handler:
        """Return the wrapped handler of a method, None for an unknown one."""
        method = details.method
        if method.startswith(_UNGUARDED):
            return await continuation(details)
        wrapped = self._wrapped.get(method)
        if wrapped is None and (handler := await continuation(details)) is not None:
            wrapped = self._wrapped[method] = self._wrap(method, handler)
        return wrapped

    def _wrap(self, method: str, handler: Handler) -> Handler:
        options = options_of(method)
        parse = handler.request_deserializer
        coders: dict[str, Any] = {
            "request_deserializer": parse if handler.request_streaming else _reading(parse),
            "response_serializer": _write,
        }
        if handler.request_streaming and handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(
                self._streamed(method, options, handler.stream_stream, self._streams), **coders
            )
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._streamed(method, options, handler.unary_stream, self._calls), **coders
            )
        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(self._answered(method, options, handler.stream_unary), **coders)
        return grpc.unary_unary_rpc_method_handler(self._answered(method, options, handler.unary_unary), **coders)

    def _answered(
        self, method: str, options: MethodOptions, behaviour: Callable[[Any, Context], Coroutine[Any, Any, Any]]
    ) -> Handler:
        hooks = hooks_of(behaviour)

        async def answer(request: Any, context: Context) -> Any:
            async with self._guarded(method, options, context, self._calls) as call:
                async with self._admitted(call, options, hooks, request):
                    # Shielded: what has begun to be stored is finished and logged, though its caller may have left.
                    response = await self._work.run(behaviour(request, context))
                await _send_headers(context, call, options)
            return response

        return answer

    def _streamed(
        self, method: str, options: MethodOptions, behaviour: Callable[[Any, Context], Any], among: InFlight
    ) -> Handler:
        hooks = hooks_of(behaviour)

        # Writes to the context instead of yielding, so that a caller who leaves ends the servicer's generator at once.
        async def stream(request: Any, context: Context) -> None:
            async with (
                self._guarded(method, options, context, among) as call,
                self._admitted(call, options, hooks, request),
            ):
                await _forward(behaviour(request, context), context, call, options)

        return stream

    @asynccontextmanager
    async def _guarded(
        self, method: str, options: MethodOptions, context: Context, among: InFlight
    ) -> AsyncIterator[Call]:
        """Turn whatever the block raises into a refusal, and log how the call ended."""
        started = time.perf_counter()
        call = self._begin(method, context)
        # It stays so when the caller leaves: a cancellation is no Exception, and there is nobody to refuse.
        status = CLIENT_GONE
        refusal: ApiError | None = None
        among.begin()
        try:
            yield call
            status = call.http_status or options.success_status
        except Exception as error:
            refusal = _as_refusal(error, call, options)
            status = refusal.status
        finally:
            among.end()
            _log_call(call, status, time.perf_counter() - started)
        # Outside the block: `abort` raises by itself, and its error is none to be turned into a refusal.
        if refusal is not None:
            metadata = trailers(refusal, is_rest=call.is_rest, in_openai_envelope=options.has_openai_errors)
            await context.abort(status_code(refusal), refusal.message, metadata)

    @asynccontextmanager
    async def _admitted(
        self, call: Call, options: MethodOptions, hooks: MethodHooks, request: Any
    ) -> AsyncIterator[None]:
        """Let the call in or refuse it; an admin's call is in the audit trail when the block is left."""
        if request is _UNREADABLE:
            raise malformed_json()
        message = request if isinstance(request, Message) else None
        if message is not None and call.is_rest:
            # Before the audit trail, which has the provider that a call is about from its fields.
            fill_from_path(message, options.paths, call.metadata.get("x-envoy-original-path", ""))
        async with self._auditor.auditing(call, options, message):
            await self._admit(call, options, hooks, message)
            yield

    def _begin(self, method: str, context: Context) -> Call:
        metadata = _first_values(context.invocation_metadata() or ())
        # Anybody's text, and bound for log lines: one of another form is replaced.
        request_id = metadata.get("x-request-id", "")
        return Call(
            method=method,
            principal=ANYBODY,
            request_id=request_id if _REQUEST_ID.fullmatch(request_id) else uuid.uuid4().hex,
            address=client_address(context.peer(), metadata, self._trusted_edges),
            is_rest=metadata.get("x-rest") == "1",
            metadata=metadata,
        )

    async def _admit(self, call: Call, options: MethodOptions, hooks: MethodHooks, request: Message | None) -> None:
        if self._draining:
            raise service_unavailable()
        metadata = call.metadata
        credential = self._authenticator.require_credential(options, metadata, request, call.address)
        # Servicers and logs have no need of the secrets, so they are not there to leak.
        call.metadata = {key: value for key, value in metadata.items() if key not in SECRET_HEADERS}
        if hooks.check_shape is not None:
            hooks.check_shape(request)
        call.principal = await self._authenticator.verify(options, credential, call.address)
        # Many callers may share an address; those who say who they are share nothing else.
        counted = await self._authenticator.recognise(metadata) if options.is_public else call.principal
        subject = _subject(counted, call.address, options.bucket, request)
        if options.bucket.counted_by is CountedBy.JOB:
            # Ids are for callers to make up, and each has a window of its own: so many of them an account may open.
            self._limiter.spend(GENERAL_BUCKET, _subject(counted, call.address, GENERAL_BUCKET, request))
        self._limiter.spend(options.bucket, subject)
        if options.streamed_bucket is not None:
            # A limit that nobody can count for is a mistake in the servicer, and must not pass for no limit.
            assert hooks.asks_for_stream is not None
            if hooks.asks_for_stream(request):
                self._limiter.spend(options.streamed_bucket, subject)
        # After the limit, so that trying keys for their scopes is not free.
        require_rights(options, call.principal)
        enter(call)
        if request is not None:
            if hooks.normalise is not None:
                hooks.normalise(request)
            if options.honours_idempotency_key:
                await self._idempotent.check(request)
            self._rules.apply(request)


def _first_values(metadata: Iterable[tuple[str, str | bytes]]) -> dict[str, str]:
    """Return the text headers of a call; of one that was sent more than once, the first value that is not blank."""
    values: dict[str, str] = {}
    for name, value in metadata:
        if isinstance(value, str) and not values.get(name, "").strip():
            values[name] = value
    return values


def _subject(principal: Principal, address: str, bucket: Bucket, request: Message | None) -> Subject:
    """Return whom or what a call is counted for."""
    if bucket.counted_by is CountedBy.ADDRESS or principal.account_id is None:
        if principal.fingerprint:
            return Subject.of_account(principal.fingerprint)
        return Subject.of_address(address)
    account = f"{principal.role}:{principal.account_id}"
    if bucket.counted_by is CountedBy.JOB:
        return Subject.of_account(account, getattr(request, "job_id", ""))
    return Subject.of_account(account)


def _as_refusal(error: Exception, call: Call, options: MethodOptions) -> ApiError:
    if isinstance(error, ApiError):
        return fitted(error)
    if is_unwritable(error):
        # Without a traceback, which costs more than the call: while the disk is full there is one for every write.
        reason = str(getattr(error, "orig", error))
        _log.warning("database_unwritable", method=call.method, request_id=call.request_id, error=reason)
        return fitted(database_unwritable())
    _log.error("call_failed", method=call.method, request_id=call.request_id, exc_info=error)
    return internal_error(options.internal_error_text) if options.internal_error_text else internal_error()


async def _forward(responses: AsyncGenerator[Any, None], context: Context, call: Call, options: MethodOptions) -> None:
    async with aclosing(responses):
        started = False
        async for response in responses:
            if not started:
                await _send_headers(context, call, options)
                started = True
            await context.write(response)


async def _send_headers(context: Context, call: Call, options: MethodOptions) -> None:
    headers = list(call.headers.items())
    status = call.http_status or options.success_status
    # The edge makes 200 of every answer that says nothing else.
    if status != 200:
        headers.append(("x-http-status", str(status)))
    if headers:
        await context.send_initial_metadata(tuple(headers))


def _log_call(call: Call, status: int, seconds: float) -> None:
    _log.info(
        "call",
        method=call.method,
        status=status,
        duration_ms=round(seconds * 1000, 1),
        request_id=call.request_id,
        role=str(call.principal.role),
        account_id=call.principal.account_id,
    )


class _Unreadable:
    """Stands for a request that is no message.

    The edge's transcoder makes one of a map whose values have the wrong type.
    """


_UNREADABLE: Final = _Unreadable()


def _reading(parse: Callable[[bytes], M]) -> Callable[[bytes], M | _Unreadable]:
    """Return `parse` with _UNREADABLE in place of a failure, which gRPC would answer as an internal error."""

    def read(data: bytes) -> M | _Unreadable:
        try:
            return parse(data)
        except DecodeError:
            return _UNREADABLE

    return read


def _write(message: Message) -> bytes:
    """Serialise with map keys in order, so that an answer given twice is the same byte for byte."""
    return message.SerializeToString(deterministic=True)
