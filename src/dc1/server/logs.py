"""Structured logs: one look for our own lines and for those of the libraries."""

import logging
import sys
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor

from dc1 import tracing
from dc1.steady_stream import SteadyStream

_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    tracing.add_trace,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def configure_logging(log_format: str, level: str, stream: TextIO | None = None) -> None:
    """Send log lines to `stream`, by default standard error: as JSON for `json`, for people otherwise.

    One that cannot be written is lost and counted, and fails nobody.

    Our own lines don't pass through the standard library's logging, which would take longer than answering a heartbeat.
    """
    source = stream or sys.stderr
    renderers = _renderers(log_format, colors=_is_terminal(source))
    target = SteadyStream(source, lambda lost, reason: _notice(renderers, lost, reason))
    structlog.configure(
        processors=[*_SHARED, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(level.lower()),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, target)),
        # A cached logger would keep the stream and the level of an earlier configuration.
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(cast(TextIO, target))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=(*_SHARED, structlog.stdlib.add_logger_name),
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # At INFO these tell of every migration and every request.
    for chatty in ("alembic", "asyncio", "httpx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


class _SafeRenderer:
    """Makes a line of an event, and of one that cannot be rendered a line that says so: a call must not fail by it."""

    def __init__(self, *processors: Processor) -> None:
        self._processors = processors

    def __call__(self, logger: Any, level: str, event: EventDict) -> Any:
        rendered: Any = event
        name = event.get("event")
        try:
            for processor in self._processors:
                rendered = processor(logger, level, rendered)
        except Exception as error:
            return f"{level}: {str(name)[:200]!r} cannot be rendered: {type(error).__name__}"
        return rendered


def _renderers(log_format: str, *, colors: bool) -> tuple[Processor, ...]:
    if log_format == "json":
        return (_SafeRenderer(structlog.processors.format_exc_info, structlog.processors.JSONRenderer()),)
    # The default traceback of a console shows local variables, and with them keys.
    return (
        _SafeRenderer(structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)),
    )


def _notice(renderers: tuple[Processor, ...], lost: int, reason: str) -> str:
    line: Any = {"event": "log_lines_lost", "count": lost, "reason": reason}
    for processor in (*_SHARED, *renderers):
        line = processor(None, "warning", line)
    return str(line)


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()
