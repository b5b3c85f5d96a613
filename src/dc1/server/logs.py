"""Structured logs: one look for our own lines and for those of the libraries."""

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import Processor

_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def configure_logging(log_format: str, level: str, stream: TextIO | None = None) -> None:
    """Send log lines to `stream`, by default standard error: as JSON for `json`, for people otherwise.

    Our own lines don't pass through the standard library's logging, which would take longer than answering a heartbeat.
    """
    target = stream or sys.stderr
    renderers = _renderers(log_format)
    structlog.configure(
        processors=[*_SHARED, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(level.lower()),
        logger_factory=structlog.WriteLoggerFactory(target),
        # A cached logger would keep the stream and the level of an earlier configuration.
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
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


def _renderers(log_format: str) -> tuple[Processor, ...]:
    if log_format == "json":
        return structlog.processors.format_exc_info, structlog.processors.JSONRenderer()
    # The default traceback of a console shows local variables, and with them keys.
    return (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback),
    )
