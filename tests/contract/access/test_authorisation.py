"""Every method of the protocol against everybody who has no right to it, with a stranger's ids.

Nobody is let in where the method's declared access does not admit them, and whoever is let in sees and changes only
what is theirs. That a method without declared access is refused to everybody is tested in tests/server/test_rights.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Table, select

from buf.validate import validate_pb2
from dc1.domain.access import keys
from dc1.domain.access.keys import KeyRole
from dc1.services.api.values import to_value
from dc1.storage.engine.database import Connection
from dc1.storage.schema.tables import metadata
from dcp.v1 import daemon_stream_pb2 as stream_pb
from dcp.v1 import options_pb2
from tests.contract.expect import answered
from tests.contract.protocol import METHODS
from tests.stack.people import Renter
from tests.stack.poll_daemon import REPORT, PollDaemon
from tests.stack.rest import Json, credential
from tests.stack.stack import ADMIN_TOKEN, Edge, Stack

MARK = "zq7private"
IBAN = "SA0380000000608010167519"
MASTER = "master"
KEPT_OF_THEM = (
    *("renters", "providers", "api_keys", "accounts", "postings", "withdrawals", "daemon_events"),
    *("jobs", "job_specs", "job_attempts", "job_events", "job_logs", "job_results"),
)
STRANGER_CALLS_REFUSED = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}
NOT_THEIRS = {grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.NOT_FOUND}

# Any renter may ask for any provider's time; the others answer that they know nothing of what is not the caller's.
NAMES_NO_PROPERTY = {"SubmitJob", "VerifyTaskHmac", "SubmitChallenge"}

# What a request must say to get as far as the question whose object it is about.
PLAUSIBLE: Mapping[str, Any] = {
    "name": "Somebody",
    "email": "somebody@example.sa",
    "gpu_model": "RTX 4090",
    "os": "linux",
    "reason": "because",
    "model_name": "a/model",
    "image_ref": "docker.io/library/busybox:1.36",
    "iban": IBAN,
    "amount_halala": 1000,
    "rate_halala": 1,
    "confirm": "DELETE_MY_ACCOUNT",
    "phase": "generating",
    "port": 8080,
    "provider_ip": "8.8.8.8",
    "error": "no",
    "line": "one line",
    "job_type": "benchmark",
    "duration_minutes": 1,
    "success": True,
    "vram_gb": 24,
    "tflops": 80,
    "matrix_size": 128,
    "model": "a/model",
    "format": "png",
    "period": "30d",
}
ALWAYS_SAID = {"reason", "confirm", "error", "line"}


@dataclass(frozen=True)
class World:
    """A market with two victims: a renter, and the provider that runs the renter's jobs."""

    stack: Stack
    channel: grpc.Channel
    renter: Renter
    provider: PollDaemon
    ids: Mapping[str, Any]
    scoped: Mapping[str, str]
    jobs: Sequence[int]
    baseline: dict[str, list[Any]] = field(default_factory=dict)

    def is_as_it_was(self) -> bool:
        """Whether nothing of the victims' has changed since the beginning."""
        now = self.snapshot()
        changed = {name: (rows, now[name]) for name, rows in self.baseline.items() if now[name] != rows}
        assert not changed
        return True

    def snapshot(self) -> dict[str, list[Any]]:
        """Every stored row that is the victims'."""
        return self.stack.edge.loop.run(self.stack.server.database.read(self._read))

    def _read(self, conn: Connection) -> dict[str, list[Any]]:
        return {table.name: list(self._rows(conn, table)) for table in metadata.sorted_tables}

    def _rows(self, conn: Connection, table: Table) -> Iterator[tuple[Any, ...]]:
        shown = [column for column in table.c if column.name not in ("last_used_at_ms", "changed_xid")]
        for row in conn.execute(select(*shown).order_by(*table.primary_key)):
            if self._is_theirs(table.name, row._asdict()):
                yield tuple(row)

    def _is_theirs(self, table: str, row: Mapping[str, Any]) -> bool:
        renter, provider = self.renter.id, self.provider.id
        if table in ("renters", "providers", "jobs"):
            return row["id"] in {"renters": [renter], "providers": [provider], "jobs": self.jobs}[table]
        if table in ("accounts", "postings"):
            kind = row["kind"] if table == "accounts" else row["account_kind"]
            return (kind, row["owner_id"]) in {
                *((kind, renter) for kind in ("wallet", "hold")),
                *((kind, provider) for kind in ("payable", "payout")),
            }
        if table == "api_keys":
            return bool(row["owner_id"] == (provider if row["role"] == "provider" else renter))
        if "job_id" in row:
            return row["job_id"] in self.jobs
        return table != "audit_entries" and (row.get("renter_id") == renter or row.get("provider_id") == provider)


@dataclass(frozen=True)
class Outcome:
    """How a call ended, and everything that came back."""

    code: grpc.StatusCode
    said: bytes


@dataclass(frozen=True)
class Actor:
    """Somebody who calls. `scope` is that of a scoped key, MASTER for every other; `role` is what the key is good for."""

    name: str
    role: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    scope: str = MASTER

    def is_admitted(self, method: MethodDescriptor) -> bool:
        """Whether the method's declared access lets them in."""
        access = method.GetOptions().Extensions[options_pb2.access]
        if options_pb2.ROLE_PUBLIC in access.roles:
            return True
        if self.role not in access.roles:
            return False
        if self.scope == MASTER:
            return True
        return not access.master_key_only and (not access.scopes or self.scope in access.scopes)


@pytest.fixture(scope="module")
def world(edge: Edge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    stack = Stack(edge, tmp_path_factory.mktemp("authorisation"))
    with grpc.insecure_channel(edge.target) as channel:
        world = build(stack, channel)
        world.baseline.update(world.snapshot())
        yield world
    stack.close()


def build(stack: Stack, channel: grpc.Channel) -> World:
    renter = stack.add_renter(
        name=f"{MARK} renter", email=f"{MARK}@example.sa", phone=MARK, organization=MARK, use_case=MARK
    )
    provider = stack.register_provider(email=f"{MARK}-gpu@example.sa", phone=MARK)
    stack.admin.approve(provider.id)
    provider.heartbeat({**REPORT, "provider_hostname": MARK, "provider_ip": "203.0.113.77"})
    stack.admin.adjust(renter.id, 5000)
    run_jobs(stack, renter, provider)
    account = {"amount_halala": 1000, "iban": IBAN}
    withdrawal = answered(provider.post("/providers/me/withdraw", account), 201)["withdrawal_id"]
    answered(provider.post("/providers/daemon-event", {"event_type": "crash", "details": MARK}))
    scoped = {
        scope: answered(renter.post("/renters/me/keys", {"scopes": [scope], "label": MARK}), 201)
        for scope in ("jobs.read", "billing")
    }
    # A server that stops stores what daemons reported; nothing is on its way any more when the walk begins.
    stack.restart()
    ids = {
        "job_id": 3,
        "provider_id": provider.id,
        "renter_id": renter.id,
        "key_id": scoped["billing"]["id"],
        "withdrawal_id": withdrawal,
        "challenge_id": answered(provider.get("/verification/pending")).get("challenge_id", "none"),
    }
    return World(
        stack=stack,
        channel=channel,
        renter=renter,
        provider=provider,
        ids=ids,
        scoped={scope: key["key"] for scope, key in scoped.items()},
        jobs=range(1, 6),
    )


def run_jobs(stack: Stack, renter: Renter, provider: PollDaemon) -> None:
    """Job 1 completes, 2 fails, 3 runs, 4 waits for this provider, 5 is cancelled."""
    private: Json = {"provider_id": provider.id, "params": {"prompt": MARK}}
    renter.submit(job_type="training", duration_minutes=60, max_duration_seconds=3600, **private)
    provider.next()
    provider.logs(1, [MARK])
    stack.advance(3599)
    provider.result(1, MARK)
    renter.submit(**private)
    stack.next_job(provider)
    answered(provider.try_result(2, error=MARK))
    for _ in range(3):
        renter.submit(**private)
    stack.next_job(provider)
    provider.logs(3, [MARK])
    answered(renter.cancel(5))


def strangers(world: World) -> Iterator[Actor]:
    """Everybody who has nothing to do with the victims; those with an account have it for one walk only."""
    yield Actor("nobody")
    yield from holders_of_bad_keys()
    yield another_renter(world)
    yield another_provider(world)


def holders_of_bad_keys() -> Iterator[Actor]:
    for role in (KeyRole.RENTER, KeyRole.SCOPED, KeyRole.PROVIDER):
        yield Actor(f"a {role} key that nobody has", headers=credential(keys.generate(role).key))
    yield Actor("a wrong admin token", headers={"x-admin-token": "wrong"})


def another_renter(world: World) -> Actor:
    return Actor("another renter", options_pb2.ROLE_RENTER, credential(world.stack.add_renter().key))


def another_provider(world: World) -> Actor:
    return Actor("another provider", options_pb2.ROLE_PROVIDER, credential(world.stack.add_provider().key))


def insiders(world: World) -> Iterator[Actor]:
    """Those with rights, as far as these go: the admin, and the victim's own keys of one scope."""
    yield Actor("the admin", options_pb2.ROLE_ADMIN, {"x-admin-token": ADMIN_TOKEN})
    for scope, key in world.scoped.items():
        yield Actor(f"the renter's own key for {scope}", options_pb2.ROLE_RENTER, credential(key), scope)
    yield Actor("the victims' provider", options_pb2.ROLE_PROVIDER, credential(world.provider.key))
    yield Actor("the victims' renter", options_pb2.ROLE_RENTER, credential(world.renter.key))


def names_property(method: MethodDescriptor, world: World) -> bool:
    return method.name not in NAMES_NO_PROPERTY and any(name in world.ids for name in method.input_type.fields_by_name)


def plausible_request(method: MethodDescriptor, ids: Mapping[str, Any]) -> Message:
    """A request about the victims' objects that breaks no rule of its fields."""
    request = GetMessageClass(method.input_type)()
    for item in method.input_type.fields:
        if item.name in ids:
            put(request, item, ids[item.name])
        elif is_required(item) or item.name in ALWAYS_SAID:
            say(request, item)
    return request


def is_required(item: FieldDescriptor) -> bool:
    return bool(item.GetOptions().Extensions[validate_pb2.field].required)


def say(request: Message, item: FieldDescriptor) -> None:
    listed = item.GetOptions().Extensions[validate_pb2.field].string
    listed_values = getattr(listed, "in")
    if item.message_type is not None:
        getattr(request, item.name).SetInParent()
    elif item.name == "ids":
        request.ids.extend([1])  # type: ignore[attr-defined]
    elif listed_values:
        setattr(request, item.name, listed_values[0])
    else:
        put(request, item, PLAUSIBLE.get(item.name, 1))


def put(request: Message, item: FieldDescriptor, value: Any) -> None:
    if item.message_type is not None:
        getattr(request, item.name).CopyFrom(to_value(value))
    else:
        setattr(request, item.name, str(value) if item.type == FieldDescriptor.TYPE_STRING else value)


def call(world: World, method: MethodDescriptor, actor: Actor, *requests: Message) -> Outcome:
    """Call as `actor`; whether the method streams does not matter."""
    invoke: Any = world.channel.stream_stream(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=bytes,
    )
    answers = invoke(iter(requests), timeout=10, metadata=tuple(actor.headers.items()))
    said = b""
    try:
        for answer in answers:
            said += answer
    except grpc.RpcError as error:
        return Outcome(error.code(), said + repr((error.details(), error.trailing_metadata())).encode())
    return Outcome(grpc.StatusCode.OK, said)


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
    elif about_victims and not is_public(method):
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
