"""Traces by OpenTelemetry, from a caller to the engine that answers it.

Off, and free, until an `OTEL_…` variable names who takes them. What a caller sends as `traceparent` is passed on in any
case, so that a part without traces breaks nobody's.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal

import structlog
from structlog.typing import EventDict

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

Kind = Literal["internal", "server", "client", "producer", "consumer"]

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
# Of version 00, which newer ones have to be readable as; anybody's text, and bound for other people's machines.
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_NOTHING: AbstractContextManager[None] = nullcontext()
_log = structlog.get_logger(__name__)

# Of this process, as are the variables.
_provider: "TracerProvider | None" = None
_tracer: "Tracer | None" = None
_passed: ContextVar[str] = ContextVar("dc1_traceparent", default="")


def start_tracing(service: str, environment: Mapping[str, str] = os.environ) -> None:
    """Begin to send spans, by the standard variables, as `service` unless they name another."""
    global _provider, _tracer
    if not _is_wanted(environment):
        return
    try:
        # A fifth of a second and 10 MiB, for those alone who want traces.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        _log.warning("traces_not_sent", hint="install dc1[traces]")
        return
    named = "OTEL_SERVICE_NAME" in environment or "service.name" in environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
    _provider = TracerProvider(resource=Resource.create({} if named else {"service.name": service}))
    # On a thread of its own: who takes them may be slow, or away.
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracer = _provider.get_tracer("dc1")


def stop_tracing() -> None:
    """Send what is left, and end."""
    global _provider, _tracer
    provider, _provider, _tracer = _provider, None, None
    if provider is not None:
        provider.shutdown()


def _is_wanted(environment: Mapping[str, str]) -> bool:
    is_off = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    is_elsewhere = environment.get("OTEL_TRACES_EXPORTER", "otlp") != "otlp"
    return any(environment.get(name) for name in _ENDPOINTS) and not is_off and not is_elsewhere


def span(name: str, kind: Kind = "internal", parent: str = "", **attributes: Any) -> AbstractContextManager[None]:
    """Measure the block, as part of the trace of `parent`, a `traceparent`, or else of the block around it."""
    if _tracer is not None:
        return _span(_tracer, name, kind, parent, attributes)
    return _passing(parent) if parent and _TRACEPARENT.fullmatch(parent) else _NOTHING


def part(name: str, **attributes: Any) -> AbstractContextManager[None]:
    """Measure the block where it is part of a trace; what happens by itself, such as a timer's work, begins none."""
    return _NOTHING if _tracer is None or not traceparent() else _span(_tracer, name, "internal", "", attributes)


def annotate(**attributes: Any) -> None:
    """Add attributes to the span around."""
    if _tracer is not None:
        from opentelemetry.trace import get_current_span

        get_current_span().set_attributes(_dotted(attributes))


def traceparent() -> str:
    """Return what names the span around to other processes, empty outside of one."""
    if _tracer is None:
        return _passed.get()
    from opentelemetry.trace import get_current_span

    context = get_current_span().get_span_context()
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def add_trace(_logger: Any, _level: str, event: EventDict) -> EventDict:
    """Name the trace in a log line; a processor of structlog."""
    if _tracer is not None and (current := traceparent()):
        _, event["trace_id"], event["span_id"], _ = current.split("-")
    return event


@contextmanager
def _passing(parent: str) -> Iterator[None]:
    before = _passed.get()
    _passed.set(parent)
    try:
        yield
    finally:
        # Not by a token, which is refused where a generator is ended by another task than its own.
        _passed.set(before)


@contextmanager
def _span(tracer: "Tracer", name: str, kind: Kind, parent: str, attributes: dict[str, Any]) -> Iterator[None]:
    from opentelemetry.trace import SpanKind, StatusCode
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    around = TraceContextTextMapPropagator().extract({"traceparent": parent}) if parent else None
    spanned = tracer.start_as_current_span(
        name,
        context=around,
        kind=SpanKind[kind.upper()],
        attributes=_dotted(attributes),
        record_exception=False,
        set_status_on_exception=False,
    )
    with spanned as current:
        try:
            yield
        except Exception as error:
            # A refusal is an answer like any other. Of errors the name alone: their texts may hold what people sent.
            if getattr(error, "status", 500) >= 500:
                current.set_status(StatusCode.ERROR, type(error).__name__)
            raise


def _dotted(attributes: dict[str, Any]) -> dict[str, Any]:
    # Names of attributes have dots, and Python's have none.
    return {name.replace("__", "."): value for name, value in attributes.items()}
