"""What happens around every call: one interceptor, driven by the methods' options.

In this order: the size, the credential's presence, the shape check of the method, the look-up, the rate limit; only
then the request is parsed, where no check before had to read it, with the fields that the path names; the scopes, the
normaliser of the method, its Idempotency-Key, the field rules; then the servicer; then the audit entry, the answer's
status and headers, and the log line.
"""

import re
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, TypeAlias

import grpc
import structlog
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from dc1.containment import StrayError, contained
from dc1.domain.access.roles import Role
from dc1.domain.errors import ApiError, database_unwritable, internal_error, outcome_unknown, service_unavailable
from dc1.server.authentication import SECRET_HEADERS, Authenticator, require_rights
from dc1.server.error_encoding import fitted, status_code, trailers
from dc1.server.field_rules import FieldRules
from dc1.server.in_flight import InFlight
from dc1.server.list_words import require_known_words
from dc1.server.listening.addresses import client_address, counted_as
from dc1.server.listening.edges import ADMISSION, UNPROVEN, Edges, first_values
from dc1.server.method_options import GENERAL_BUCKET, Bucket, CountedBy, MethodOptions, fill_from_path, options_of
from dc1.server.rate_limits import RateLimiter, Subject
from dc1.server.requests import Request, RequestStream, headers_of, note_headers
from dc1.server.responses import Context, forward, say_stopped, send_headers
from dc1.server.standard_calls import StandardCalls
from dc1.server.watching.audit import CLIENT_GONE, Auditor
from dc1.server.watching.call_log import CallLog
from dc1.server.watching.call_traces import traced
from dc1.server.watching.failure_log import FailureLog
from dc1.services.api.call import ANYBODY, Call, Principal, enter
from dc1.services.api.hooks import MethodHooks, hooks_of
from dc1.services.api.idempotency import IdempotentCalls
from dc1.services.api.output_budget import OutputBudget
from dc1.services.api.shielding import ShieldedWork
from dc1.services.api.values import require_few_values
from dc1.storage.engine.unwritable import OutcomeUnknownError, unwritable_reason

_STANDARD = ("/grpc.health.v1.", "/grpc.reflection.v1.", "/grpc.reflection.v1alpha.")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LIMIT_HEADERS = "x-ratelimit-"
_OF_A_REFUSAL = ("accept-language",)
_log = structlog.get_logger(__name__)
# Of this process, as the log is.
_failures = FailureLog()

# grpc's stubs have no common type for the handlers of the four kinds of methods.
Handler: TypeAlias = Any
Parser: TypeAlias = Callable[[bytes], Message]


class Pipeline(grpc.aio.ServerInterceptor):
    """Wraps the handlers of all services. Standard health and reflection have limits of their own."""

    def __init__(
        self,
        authenticator: Authenticator,
        limiter: RateLimiter,
        auditor: Auditor,
        idempotent: IdempotentCalls,
        edges: Edges,
        call_log: CallLog,
        output_budget: OutputBudget,
    ) -> None:
        self._authenticator = authenticator
        self._limiter = limiter
        self._auditor = auditor
        self._idempotent = idempotent
        self._edges = edges
        self._call_log = call_log
        self._output_budget = output_budget
        self._rules = FieldRules()
        self._wrapped: dict[str, Handler] = {}
        self._standard = StandardCalls(self._address_of, call_log.standard_refused, call_log.streaming)
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
        note_headers(details)
        wrapped = self._wrapped.get(method)
        if wrapped is None:
            if (handler := await continuation(details)) is None:
                self._call_log.unknown()
                return None
            wrap = self._standard.wrap if method.startswith(_STANDARD) else self._wrap
            wrapped = self._wrapped[method] = wrap(method, handler)
        return wrapped

    def _wrap(self, method: str, handler: Handler) -> Handler:
        options = options_of(method)
        parse = handler.request_deserializer
        # Without a deserializer the handlers are given bytes: gRPC would parse before anything is asked.
        coders: dict[str, Any] = {"request_deserializer": None, "response_serializer": _write}
        if handler.request_streaming and handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(
                self._connected(method, options, parse, handler.stream_stream), **coders
            )
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._streamed(method, options, parse, handler.unary_stream), **coders
            )
        assert not handler.request_streaming, f"{method} takes a stream for one answer, which nothing here reads"
        return grpc.unary_unary_rpc_method_handler(
            self._answered(method, options, parse, handler.unary_unary), **coders
        )

    def _answered(
        self,
        method: str,
        options: MethodOptions,
        parse: Parser,
        behaviour: Callable[[Any, Context], Coroutine[Any, Any, Any]],
    ) -> Handler:
        hooks = hooks_of(behaviour)

        async def answer(data: bytes, context: Context) -> Any:
            async with self._guarded(method, options, context, self._calls) as call:
                if ADMISSION in call.metadata:
                    await self._judge(call, options)
                    return Empty()
                request = Request(data, parse)
                async with self._admitted(call, options, hooks, request):
                    # Shielded: what has begun to be stored is finished and logged, though its caller may have left.
                    response = await self._work.run(behaviour(request.message, context))
                    if options.only_reads and self._output_budget.is_large(size := response.ByteSize()):
                        self._output_budget.count_answer(call, counted_as(call.address), size)
                await send_headers(context, call, options)
            return response

        return answer

    def _streamed(
        self, method: str, options: MethodOptions, parse: Parser, behaviour: Callable[[Any, Context], Any]
    ) -> Handler:
        hooks = hooks_of(behaviour)

        # Writes to the context instead of yielding, so that a caller who leaves ends the servicer's generator at once.
        async def stream(data: bytes, context: Context) -> None:
            async with self._guarded(method, options, context, self._calls) as call:
                if ADMISSION in call.metadata:
                    await self._judge(call, options)
                    return
                request = Request(data, parse)
                async with self._admitted(call, options, hooks, request):
                    forwarded = partial(forward, behaviour(request.message, context), context, call, options)
                    with self._call_log.streaming(method):
                        await self._authenticator.while_good(options, call, forwarded)
                        if call.stopped is not None and options.is_v1:
                            await say_stopped(context, call, call.stopped)

        return stream

    def _connected(
        self, method: str, options: MethodOptions, parse: Parser, behaviour: Callable[[Any, Context], Any]
    ) -> Handler:
        hooks = hooks_of(behaviour)

        async def stream(data: AsyncIterator[bytes], context: Context) -> None:
            async with (
                self._guarded(method, options, context, self._streams) as call,
                self._admitted(call, options, hooks, None),
            ):
                # All that a stream may still be asked for: the rest would be kept as long as it stays.
                call.metadata = {name: text for name, text in call.metadata.items() if name in _OF_A_REFUSAL}
                requests = RequestStream(data, parse, options)
                with self._call_log.streaming(method):
                    await forward(behaviour(requests, context), context, call, options)

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
            with contained(), traced(call, options):
                yield call
            status = call.http_status or options.success_status
        except Exception as error:
            # What is cut off by a stop was cancelled beneath its call, and is the next server's.
            is_cut_off = self._draining and isinstance(error, StrayError)
            refusal = service_unavailable() if is_cut_off else _as_refusal(error, call, options)
            status = refusal.status
        finally:
            among.end()
            # The call that was asked for has a line of its own, unless it was refused.
            if status >= 400:
                self._call_log.refused(call, status, time.perf_counter() - started)
            elif ADMISSION not in call.metadata:
                self._call_log.served(call, status, time.perf_counter() - started)
        # Outside the block: `abort` raises by itself, and its error is none to be turned into a refusal.
        if refusal is not None:
            body = options.error_body if call.is_rest else None
            metadata = trailers(refusal, body, call.metadata.get("accept-language", ""))
            # What a caller has left is said of refusals too; the other headers are those of an answer.
            left = [header for header in call.headers.items() if header[0].startswith(_LIMIT_HEADERS)]
            await context.abort(status_code(refusal), refusal.message, (*metadata, *left))

    @asynccontextmanager
    async def _audited(
        self, call: Call, options: MethodOptions, hooks: MethodHooks, request: Request | None
    ) -> AsyncIterator[None]:
        async with self._auditor.auditing(call, options, request):
            await self._admit(call, options, hooks, request)
            yield

    def _admitted(
        self, call: Call, options: MethodOptions, hooks: MethodHooks, request: Request | None
    ) -> AbstractAsyncContextManager[None]:
        """Let the call in or refuse it; an admin's call is in the audit trail when the block is left."""
        if Role.ADMIN in options.roles:
            return self._audited(call, options, hooks, request)
        # Nobody's who is entered, and most calls by far.
        return _Admission(self._admit(call, options, hooks, request))

    def _address_of(self, context: Context) -> str:
        return client_address(context.peer(), self._heard(context))

    def _heard(self, context: Context) -> dict[str, str]:
        return self._edges.heard(context.peer(), first_values(headers_of(context)))

    def _begin(self, method: str, context: Context) -> Call:
        metadata = self._heard(context)
        # Anybody's text, and bound for log lines: one of another form is replaced.
        request_id = metadata.get("x-request-id", "")
        is_rest = metadata.get("x-rest") == "1"
        return Call(
            method=method,
            principal=ANYBODY,
            request_id=request_id if _REQUEST_ID.fullmatch(request_id) else uuid.uuid4().hex,
            address=client_address(context.peer(), metadata),
            is_rest=is_rest,
            metadata=metadata,
            rest_method=metadata.get("x-rest-method", "") if is_rest else "",
            rest_path=metadata.get("x-rest-path", "") if is_rest else "",
        )

    async def _judge(self, call: Call, options: MethodOptions) -> None:
        """Refuse a call for what its headers say, as `_admit` would; nothing is counted, as the call itself will be."""
        if self._draining or call.metadata[ADMISSION] == UNPROVEN:
            raise service_unavailable()
        call.admin_claim = self._authenticator.admin_claim(options, call.metadata)
        try:
            credential = self._authenticator.require_credential(options, call.metadata, None, call.address)
            call.principal = await self._authenticator.verify(options, credential, call.address)
            self._limiter.check(options.bucket, _subject(call.principal, call.address, options.bucket, None))
            require_rights(options, call.principal)
        except ApiError as error:
            # The edge refuses by this, and nothing else of the call comes here.
            await self._auditor.refused(call, options, error.status)
            raise

    async def _admit(self, call: Call, options: MethodOptions, hooks: MethodHooks, request: Request | None) -> None:
        if self._draining:
            raise service_unavailable()
        call.admin_claim = self._authenticator.admin_claim(options, call.metadata)
        if request is not None:
            request.require_size(options, is_rest=call.is_rest)
        metadata = call.metadata
        credential = self._authenticator.require_credential(options, metadata, request, call.address)
        # Servicers and logs have no need of the secrets, so they are not there to leak.
        call.metadata = {key: value for key, value in metadata.items() if key not in SECRET_HEADERS}
        if request is not None and hooks.check_shape is not None and request.is_small:
            hooks.check_shape(_read(request, call, options))
        call.principal = await self._authenticator.verify(options, credential, call.address)
        if request is not None and hooks.check_shape is not None and request.message is None:
            hooks.check_shape(_read(request, call, options))
        # Many callers may share an address; those who say who they are share nothing else.
        recognise = self._authenticator.recognise
        counted = await recognise(options, metadata, call.address) if options.is_public else call.principal
        by_job = options.bucket.counted_by is CountedBy.JOB
        if by_job:
            # Ids are for callers to make up, and each has a window of its own: so many of them an account may open.
            self._limiter.spend(GENERAL_BUCKET, _subject(counted, call.address, GENERAL_BUCKET, None))
        # Only a caller who was let in is counted by what is in the request.
        names_job = by_job and counted.account_id is not None
        message = _read(request, call, options) if request is not None and names_job else None
        self._limiter.spend(options.bucket, _subject(counted, call.address, options.bucket, message))
        if request is not None:
            message = _read(request, call, options)
        # After the limit, so that trying keys for their scopes is not free.
        require_rights(options, call.principal)
        enter(call)
        if message is not None:
            require_known_words(call, message)
            await self._check_fields(message, options, hooks)

    async def _check_fields(self, message: Message, options: MethodOptions, hooks: MethodHooks) -> None:
        require_few_values(message, options.max_values)
        if hooks.normalise is not None:
            hooks.normalise(message)
        if options.honours_idempotency_key:
            await self._idempotent.check(message)
        self._rules.apply(message)


class _Admission(AbstractAsyncContextManager[None]):
    """What has to be done before a block, and nothing behind it: a generator would stay with every stream."""

    __slots__ = ("_admitting",)

    def __init__(self, admitting: Coroutine[Any, Any, None]) -> None:
        self._admitting = admitting

    async def __aenter__(self) -> None:
        await self._admitting

    async def __aexit__(self, *_: object) -> None:
        pass


def _read(request: Request, call: Call, options: MethodOptions) -> Message:
    """Return the request's message, with the fields that the path of a REST call names."""
    if request.message is None:
        message = request.read()
        if call.is_rest:
            fill_from_path(message, options.paths, call.rest_path)
        return message
    return request.message


def _subject(principal: Principal, address: str, bucket: Bucket, request: Message | None) -> Subject:
    """Return whom or what a call is counted for."""
    if bucket.counted_by is CountedBy.ADDRESS or principal.account_id is None:
        if principal.fingerprint:
            return Subject.of_account(principal.fingerprint)
        return Subject.of_address(address)
    if bucket.counted_by is CountedBy.JOB:
        return Subject.of_account(principal.account, getattr(request, "job_id", ""))
    return Subject.of_account(principal.account)


def _as_refusal(error: Exception, call: Call, options: MethodOptions) -> ApiError:
    if isinstance(error, ApiError):
        return fitted(error)
    outage = _outage(error)
    kind = type(error).__name__ if outage is None else str(outage.context["reason"])
    if (left_out := _failures.left_out(call.method, kind)) is not None:
        facts = {"method": call.method, "request_id": call.request_id, "left_out": left_out}
        if outage is None:
            _log.error("call_failed", **facts, exc_info=error)
        else:
            # Without a traceback, which costs more than the call.
            _log.warning("database_unwritable", **facts, reason=kind)
    if outage is not None:
        return fitted(outage)
    return internal_error(options.internal_error_text) if options.internal_error_text else internal_error()


def _outage(error: Exception) -> ApiError | None:
    if isinstance(error, OutcomeUnknownError):
        return outcome_unknown()
    reason = unwritable_reason(error)
    return None if reason is None else database_unwritable(reason)


def _write(message: Message) -> bytes:
    """Serialise with map keys in order, so that an answer given twice is the same byte for byte."""
    return message.SerializeToString(deterministic=True)
