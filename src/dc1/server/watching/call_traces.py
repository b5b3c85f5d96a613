"""What the parts of a call are found by: its span in a trace, and its request id in every log line."""

from contextlib import AbstractContextManager, nullcontext

import structlog

from dc1 import tracing
from dc1.server.listening.edges import ADMISSION
from dc1.server.method_options import MethodOptions
from dc1.services.api.call import Call
from dc1.services.api.refusals import short_name


def traced(call: Call, options: MethodOptions) -> AbstractContextManager[None]:
    """Return what measures a call, in the task that answers it."""
    # Never unbound: it goes with its task.
    structlog.contextvars.bind_contextvars(request_id=call.request_id)
    # A daemon's stream lasts for days, and who watches stays as long: what is done on it belongs to the jobs. And the
    # call that the edge asks about comes itself, right after.
    if (options.streams and not options.is_v1) or ADMISSION in call.metadata:
        return nullcontext()
    parent = call.metadata.get("traceparent", "")
    return tracing.span(short_name(call.method), "server", parent, dc1__request__id=call.request_id)
