"""Every log line of a call has its request id, whoever writes it."""

import asyncio

import structlog

from dc1.server.method_options import options_of
from dc1.server.watching.call_traces import traced
from dc1.services.api.call import ANYBODY, Call

METHOD = "/dcp.v1.SystemService/GetHealth"


async def test_lines_of_a_call_have_its_request_id_and_no_others() -> None:
    async def line_of(request_id: str) -> object:
        call = Call(METHOD, ANYBODY, request_id, "203.0.113.1", is_rest=False, metadata={})
        with traced(call, options_of(METHOD)):
            await asyncio.sleep(0)
            return structlog.contextvars.merge_contextvars(None, "info", {"event": "written_somewhere"})["request_id"]

    found = await asyncio.gather(*(asyncio.create_task(line_of(each)) for each in ("first", "second")))

    assert found == ["first", "second"]
    assert "request_id" not in structlog.contextvars.get_contextvars()
