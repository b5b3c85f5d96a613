"""What waits on a daemon's stream, and how fast a daemon is listened to."""

import asyncio
from functools import partial

import pytest

from dc1.defaults import COMPLETION_MAX_BYTES
from dc1.services.daemons.outbox import Outbox
from dcp.v1 import daemon_stream_pb2 as pb
from dcp.v1 import report_pb2

OFFER = pb.Offer(assignment=report_pb2.Assignment(job_id="job-a", attempt_number=1))
STOP = pb.ConnectResponse(stop=pb.Stop(lease=pb.LeaseRef(job_id="job-b", attempt_number=1)))


async def sent(outbox: Outbox) -> list[pb.ConnectResponse]:
    outbox.close()
    return [message async for message in outbox]


async def test_of_many_desired_states_the_newest_is_sent_in_the_place_of_the_first() -> None:
    outbox = Outbox()
    for sequence in range(1, 1_000):
        outbox.send_desired(partial(pb.Desired, sequence=sequence))
        if sequence == 1:
            outbox.send(STOP)
    desired, stop = await sent(outbox)
    assert (desired.desired.sequence, stop) == (999, STOP)


async def test_a_desired_state_is_made_when_its_turn_comes() -> None:
    outbox = Outbox()
    outbox.send(pb.ConnectResponse(offer=OFFER))
    outbox.send_desired(lambda: pb.Desired(paused=outbox.was_offered(("job-a", 1))))
    assert not outbox.was_offered(("job-a", 1))
    assert (await sent(outbox))[-1].desired.paused


async def test_an_offer_is_known_as_long_as_desired_states_have_it() -> None:
    outbox = Outbox()
    outbox.send(pb.ConnectResponse(welcome=pb.Welcome(desired=pb.Desired(offers=[OFFER]))))
    outbox.send_desired(lambda: pb.Desired(offered=[pb.LeaseRef(job_id="job-a", attempt_number=1)]))
    await anext(outbox)
    assert outbox.was_offered(("job-a", 1))
    await anext(outbox)
    assert outbox.was_offered(("job-a", 1))
    outbox.send_desired(pb.Desired)
    await anext(outbox)
    assert not outbox.was_offered(("job-a", 1))


def body(size: int) -> pb.ConnectResponse:
    """The offer of a call with so large a body."""
    call = report_pb2.Assignment(job_id="job-c", attempt_number=1, inference_body=b"x" * size)
    return pb.ConnectResponse(offer=pb.Offer(assignment=call))


async def test_a_daemon_is_listened_to_while_the_largest_of_calls_are_on_their_way() -> None:
    outbox = Outbox()
    for _ in range(3):
        outbox.send(body(COMPLETION_MAX_BYTES))
    async with asyncio.timeout(1):
        await outbox.room()


LARGE = pb.ConnectResponse(welcome=pb.Welcome(provider_name="x" * 1024 * 1024))


@pytest.mark.parametrize(("message", "most"), [(STOP, 256), (LARGE, 1), (body(COMPLETION_MAX_BYTES), 4)])
async def test_a_full_outbox_has_room_again_once_it_is_read(message: pb.ConnectResponse, most: int) -> None:
    outbox = Outbox()
    for _ in range(most):
        outbox.send(message)
    waiting = asyncio.create_task(outbox.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    for _ in range(most):
        await anext(outbox)
    await waiting


async def test_nothing_follows_the_end() -> None:
    outbox = Outbox()
    outbox.close()
    outbox.send(STOP)
    outbox.send_desired(pb.Desired)
    assert await sent(outbox) == []


async def test_what_waits_is_said_together_to_a_daemon_that_takes_it_so() -> None:
    outbox = Outbox(bundles=True)
    outbox.send(STOP)
    outbox.send(STOP)
    outbox.send(body(COMPLETION_MAX_BYTES))
    outbox.send_desired(partial(pb.Desired, sequence=7))
    outbox.send(STOP)
    first, offer, desired = await sent(outbox)
    assert list(first.bundle.messages) == [STOP, STOP]
    assert offer == body(COMPLETION_MAX_BYTES)
    assert [one.WhichOneof("message") for one in desired.bundle.messages] == ["desired", "stop"]
    assert not outbox.was_offered(("job-c", 1)), "what is said together is followed one by one"
