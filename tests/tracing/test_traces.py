"""One trace from a caller to the engine that answers it, sent to whoever an `OTEL_…` variable names."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import pytest

from dc1 import tracing
from dc1.domain.errors import provider_not_found
from dc1.testing.market import LocalMarket
from tests.support.answering import answering_machine, ask
from tests.tracing.receiver import Receiver, receiving

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"
PARTS = {"OpenAIService/CreateChatCompletion", "database write", "dispatch", "run", "engine"}


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        tracing.start_tracing("dc1-tests")
        yield receiver
        tracing.stop_tracing()


async def test_a_call_is_one_trace_from_its_caller_to_the_engine(market: LocalMarket, receiver: Receiver) -> None:
    async with answering_machine(market) as engine:
        await asyncio.to_thread(ask, market, traceparent=TRACEPARENT)
    # Those of a call that ended leave with the next batch, or at the latest when all is stopped.
    tracing.stop_tracing()
    spans = receiver.of(TRACE)

    assert spans.keys() == PARTS
    call, run = spans["OpenAIService/CreateChatCompletion"], spans["run"]
    assert call.parent == CALLER
    assert spans["dispatch"].parent == call.id
    assert run.parent == spans["dispatch"].id
    assert spans["engine"].parent == run.id
    assert engine.traceparents[-1] == f"00-{TRACE}-{spans['engine'].id}-01"
    jobs = {span.facts["dc1.job.id"] for span in (call, run, spans["dispatch"])}
    assert len(jobs) == 1, "all parts name the job"
    assert not [span for span in receiver.spans if "Connect" in span.name], "a stream for days makes no span"


async def test_without_a_receiver_a_caller_s_trace_is_passed_on(market: LocalMarket) -> None:
    async with answering_machine(market) as engine:
        await asyncio.to_thread(ask, market, traceparent=TRACEPARENT)

    assert engine.traceparents[-1] == TRACEPARENT


@pytest.mark.parametrize("text", ["", "x", TRACEPARENT.upper(), f"00-{'0' * 32}-{CALLER}-01", TRACEPARENT + "\r\nX: 1"])
def test_what_is_no_traceparent_goes_nowhere(text: str) -> None:
    with tracing.span("call", "server", text):
        assert tracing.traceparent() == ""


def test_log_lines_name_the_trace(receiver: Receiver) -> None:
    with tracing.span("call", "server", TRACEPARENT):
        line = tracing.add_trace(None, "info", {"event": "call"})
    outside = tracing.add_trace(None, "info", {"event": "call"})

    assert line["trace_id"] == TRACE
    assert outside == {"event": "call"}


def test_refusals_are_no_errors_and_errors_keep_their_texts_to_themselves(receiver: Receiver) -> None:
    for error in (provider_not_found(), ValueError("what somebody wrote")):
        with pytest.raises(type(error)), tracing.span(type(error).__name__, "server", TRACEPARENT):
            raise error
    tracing.stop_tracing()

    assert {name: span.error for name, span in receiver.of(TRACE).items()} == {
        "ApiError": "",
        "ValueError": "ValueError",
    }


def test_work_that_nobody_asked_for_begins_no_trace(receiver: Receiver) -> None:
    with tracing.part("database write"):
        assert tracing.traceparent() == ""
    tracing.stop_tracing()

    assert not receiver.spans


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_without_an_endpoint_nothing_is_imported(variables: dict[str, str]) -> None:
    program = (
        "import sys; from dc1 import tracing; import dc1.server.app, dc1.daemon.build; tracing.start_tracing('x', "
        f"{variables!r}); sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    if variables:
        program = program.replace("import dc1.server.app, dc1.daemon.build; ", "")

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
