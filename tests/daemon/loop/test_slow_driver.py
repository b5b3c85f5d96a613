"""A driver that answers late holds up no beat for long, and is not asked again meanwhile."""

import threading

import pytest

from dc1.daemon.connection import reporter
from dc1.testing.machine import MadeUpMachine
from tests.daemon.loop.fake_server import FakeServer
from tests.daemon.loop.whole_daemon import connected


class SlowMachine(MadeUpMachine):
    """Answers at once until it is slow, and then not before it is let."""

    def __init__(self) -> None:
        super().__init__(temp_c=41)
        self.answers = threading.Event()
        self.answers.set()
        self.reads = 0

    def read(self) -> MadeUpMachine:
        self.reads += 1
        self.answers.wait(20)
        return self


async def test_beats_repeat_the_last_sample_until_the_driver_answers(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporter, "SAMPLE_SECONDS", 0.1)
    server.beat_interval_seconds = 0.2
    machine = SlowMachine()
    async with connected(server, telemetry=machine) as (_, stream):
        await stream.next("beat")
        machine.answers.clear()
        asked = machine.reads
        beats = [await stream.next("beat") for _ in range(4)]
        assert [beat.state.report.gpu_status.struct_value["temp_c"] for beat in beats] == [41] * 4
        assert machine.reads <= asked + 1
        machine.status = {**machine.status, "temp_c": 42}
        machine.answers.set()
        told = 41
        while told != 42:
            told = (await stream.next("beat")).state.report.gpu_status.struct_value["temp_c"]


async def test_a_driver_that_hangs_from_the_start_is_given_no_work_for_cards(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporter, "SAMPLE_SECONDS", 0.1)
    server.beat_interval_seconds = 0.2
    machine = SlowMachine()
    machine.answers.clear()
    async with connected(server, telemetry=machine) as (_, stream):
        told = (await stream.next("beat")).state.report.gpu_status.struct_value
        assert told["gpus_present"] == 0
        assert list(told["problems"]) == ["the NVIDIA driver does not answer"]
        machine.answers.set()
        await stream.next("beat", lambda beat: "gpu_name" in beat.state.report.gpu_status.struct_value)
