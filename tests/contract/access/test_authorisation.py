"""Every method of the protocol against everybody who has no right to it, with a stranger's ids.

Nobody is let in where the method's declared access does not admit them, and whoever is let in sees and changes only
what is theirs. That a method without declared access is refused to everybody is tested in tests/server/test_rights.py.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given, settings
from hypothesis import strategies as st

from dc1.testing.edge import Edge
from dc1.testing.market import LocalMarket
from dcp.v1 import daemon_stream_pb2 as stream_pb
from dcp.v1 import options_pb2
from tests.contract.access.strangers import (
    Actor,
    Outcome,
    another_provider,
    another_renter,
    call,
    insiders,
    plausible_request,
    put,
    say,
    strangers,
)
from tests.contract.access.victims import IBAN, MARK, World, build
from tests.contract.protocol import METHODS

KEPT_OF_THEM = (
    *("renters", "providers", "api_keys", "accounts", "postings", "withdrawals", "daemon_events"),
    *("jobs", "job_specs", "job_attempts", "job_events", "job_logs", "job_results"),
)
STRANGER_CALLS_REFUSED = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}
NOT_THEIRS = {grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.NOT_FOUND}

# Any renter may ask for any provider's time; the others answer that they know nothing of what is not the caller's.
NAMES_NO_PROPERTY = {"EstimateJob", "SubmitJob", "VerifyTaskHmac", "SubmitChallenge", "GetPendingChallenge"}


@pytest.fixture(scope="module")
def world(edge: Edge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    market = LocalMarket(edge, tmp_path_factory.mktemp("authorisation"))
    with grpc.insecure_channel(edge.target) as channel:
        world = build(market, channel)
        world.baseline.update(world.snapshot())
        yield world
    market.close()


def names_property(method: MethodDescriptor, world: World) -> bool:
    return method.name not in NAMES_NO_PROPERTY and any(name in world.ids for name in method.input_type.fields_by_name)


# They filter what is the caller's own by a key: one of somebody else finds nothing, and is no error.
OWN_BY_KEY = frozenset({"ListDailyUsage", "ExportDailyUsage"})


def speech(world: World) -> list[Message]:
    """What a daemon says on the stream about a run that is another's."""
    lease = stream_pb.LeaseRef(job_id=world.renter.job(3)["job_id"], attempt_number=1)
    return [
        stream_pb.ConnectRequest(hello=stream_pb.Hello(instance_id="stranger")),
        stream_pb.ConnectRequest(accept=stream_pb.Accept(lease=lease)),
        stream_pb.ConnectRequest(progress=stream_pb.Progress(lease=lease, phase="generating")),
        stream_pb.ConnectRequest(tokens=stream_pb.TokenBatch(lease=lease, text="x", count=1)),
        stream_pb.ConnectRequest(
            logs=stream_pb.LogBatch(lease=lease, sequence=1, lines=[stream_pb.LogRecord(message="x")])
        ),
        stream_pb.ConnectRequest(outcome=stream_pb.Outcome(lease=lease, failure=stream_pb.Failure(error="x"))),
        stream_pb.ConnectRequest(decline=stream_pb.Decline(lease=lease)),
    ]


def requests_about_the_victims(world: World, method: MethodDescriptor) -> list[list[Message]]:
    """The messages of one call for each way to name the victims' objects."""
    if method.client_streaming:
        return [speech(world)]
    found = [[plausible_request(method, world.ids)]]
    if "job_id" in method.input_type.fields_by_name:
        by_public_id = {**world.ids, "job_id": world.renter.job(3)["job_id"]}
        others = [{**world.ids, "job_id": job} for job in (1, 2, 4)]
        found += [[plausible_request(method, ids)] for ids in (by_public_id, *others)]
    return found


def check(method: MethodDescriptor, actor: Actor, outcome: Outcome, *, about_victims: bool) -> None:
    who = f"{actor.name} calling {method.full_name}: {outcome}"
    if not actor.is_admitted(method):
        assert outcome.code in refusals(method), who
    elif about_victims and not is_public(method) and method.name not in OWN_BY_KEY:
        assert outcome.code in NOT_THEIRS, who
    assert MARK.encode() not in outcome.said, who
    assert IBAN.encode() not in outcome.said, who


def refusals(method: MethodDescriptor) -> set[grpc.StatusCode]:
    access = method.GetOptions().Extensions[options_pb2.access]
    if access.credential_errors == options_pb2.CREDENTIAL_ERRORS_HEARTBEAT:
        # A heartbeat's missing credential is a missing field.
        return STRANGER_CALLS_REFUSED | {grpc.StatusCode.INVALID_ARGUMENT}
    return STRANGER_CALLS_REFUSED


def is_public(method: MethodDescriptor) -> bool:
    return options_pb2.ROLE_PUBLIC in method.GetOptions().Extensions[options_pb2.access].roles


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.full_name.removeprefix("dcp.v1."))
def test_strangers_see_and_change_nothing(world: World, method: MethodDescriptor) -> None:
    about = names_property(method, world)
    calls = requests_about_the_victims(world, method)
    for actor in strangers(world):
        for messages in calls if actor.is_admitted(method) else calls[:1]:
            check(method, actor, call(world, method, actor, *messages), about_victims=about)
    for actor in insiders(world):
        if not actor.is_admitted(method):
            check(method, actor, call(world, method, actor, *calls[0]), about_victims=about)
    assert world.is_as_it_was()


def test_the_victims_see_their_own(world: World) -> None:
    """Else nothing could have been seen to leak, or to change."""
    inspect = next(method for method in METHODS if method.name == "GetJob")
    for actor in insiders(world):
        outcome = call(world, inspect, actor, plausible_request(inspect, world.ids))
        assert (MARK.encode() in outcome.said) == actor.is_admitted(inspect), actor.name
    rows = world.baseline
    assert [name for name in KEPT_OF_THEM if not rows[name]] == []


@st.composite
def any_request(draw: st.DrawFn, descriptor: Descriptor, ids: Mapping[str, Any]) -> Message:
    """Any request, the victims' ids among what it says."""
    request = GetMessageClass(descriptor)()
    for item in descriptor.fields:
        if item.message_type is not None or item.is_repeated:
            continue
        if item.name == "once":
            # Without it an answer has no end.
            say(request, item)
            continue
        choice = draw(st.sampled_from(("absent", "plausible", "victim", "any")))
        if choice == "victim" and item.name in ids:
            put(request, item, ids[item.name])
        elif choice == "plausible":
            say(request, item)
        elif choice == "any":
            setattr(request, item.name, draw(_ANY[item.cpp_type]))
    return request


_INTEGERS = st.integers(0, 1000)


_ANY: Mapping[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.CPPTYPE_STRING: st.sampled_from(("1", "3", "me", "", "x", "0", MARK, "running")),
    FieldDescriptor.CPPTYPE_INT32: _INTEGERS,
    FieldDescriptor.CPPTYPE_INT64: _INTEGERS,
    FieldDescriptor.CPPTYPE_UINT32: _INTEGERS,
    FieldDescriptor.CPPTYPE_UINT64: _INTEGERS,
    FieldDescriptor.CPPTYPE_DOUBLE: st.floats(0, 1000),
    FieldDescriptor.CPPTYPE_FLOAT: st.floats(0, 1000, width=32),
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    FieldDescriptor.CPPTYPE_ENUM: st.just(0),
}


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_whatever_strangers_say(world: World, data: st.DataObject) -> None:
    method = data.draw(st.sampled_from([method for method in METHODS if not method.client_streaming]))
    actor = data.draw(st.sampled_from((another_renter, another_provider)))(world)
    request = data.draw(any_request(method.input_type, world.ids))
    # What was said comes back in some refusals.
    said_it_themselves = MARK in str(request) or IBAN in str(request)
    outcome = call(world, method, actor, request)
    if not said_it_themselves:
        check(method, actor, outcome, about_victims=False)
    assert world.is_as_it_was()
