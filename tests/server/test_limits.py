"""How often who may call, and what a call may cost before it is known who makes it."""

import resource
from collections.abc import AsyncIterator, Collection
from typing import Any

import grpc
import pytest
from google.protobuf.struct_pb2 import Struct, Value

from dc1.domain.access.keys import KeyRole, new_key
from dc1.domain.base.json_types import MAX_VALUES
from dc1.domain.errors import ApiError
from dc1.domain.jobs.results import MAX_RESULT_VALUES
from dc1.server.method_options import Bucket, options_of
from dc1.server.rate_limits import RateLimiter, Subject
from dc1.storage.accounts import key_holders
from dc1.testing.clock import ManualClock
from dcp.v1.admin_service_pb2 import GetDashboardRequest
from dcp.v1.daemon_run_pb2 import ReportRunResultRequest
from dcp.v1.daemon_stream_pb2 import ConnectRequest, ConnectResponse
from dcp.v1.job_submission_pb2 import RetryJobRequest, SubmitJobRequest
from dcp.v1.market_service_pb2 import ListAvailableProvidersRequest
from dcp.v1.provider_service_pb2 import RegisterProviderRequest
from dcp.v1.renter_service_pb2 import RegisterRenterRequest
from dcp.v1.renter_wallet_pb2 import GetBalanceRequest
from tests.server.conftest import Serve
from tests.server.harness import ADMIN_TOKEN, Answer, Harness, Running, refusal

J3 = SubmitJobRequest(job_type="llm_inference", duration_minutes=3)
TWICE = Bucket("twice", 2, 60)
# A parser refuses it: the field of tag 15 is cut short. Whatever is answered by another refusal was not parsed.
UNREADABLE = b"\x7a\x7f"
MEBIBYTE = 1024 * 1024


@pytest.fixture
async def server(serve: Serve) -> Running:
    return await serve(rate_limits_enabled=True)


def wait_of(limiter: RateLimiter, bucket: Bucket, subject: str) -> int | None:
    try:
        limiter.spend(bucket, Subject(subject))
    except ApiError as error:
        return error.retry_after_seconds
    return None


async def test_the_twenty_first_submission_of_a_minute_waits(server: Running, clock: ManualClock) -> None:
    key = server.accounts.renter
    for _ in range(20):
        assert (await server.call("JobService/SubmitJob", J3, x_renter_key=key)).status == 201
        clock.advance(1)
    limited = await server.call("JobService/SubmitJob", J3, x_renter_key=key)
    assert (limited.status, limited.headers["retry-after"]) == (429, "40")
    assert limited.body == {
        "error": "Rate limit exceeded",
        "code": "RESOURCE_EXHAUSTED",
        "retryAfterSeconds": 40,
        "retryAfterMs": 40_000,
    }
    assert (await server.call("RenterService/GetBalance", GetBalanceRequest(), x_renter_key=key)).status == 200
    clock.advance(40)
    assert (await server.call("JobService/SubmitJob", J3, x_renter_key=key)).status == 201


async def test_registrations_are_counted_by_address_before_their_fields_are_read(server: Running) -> None:
    async def register(address: str) -> int:
        request = RegisterRenterRequest()
        return (await server.call("RenterService/RegisterRenter", request, x_client_address=address)).status

    assert [await register("203.0.113.7") for _ in range(6)] == [400] * 5 + [429]
    assert await register("203.0.113.8") == 400
    assert [await register(f"2001:db8:0:1::{host}") for host in range(6)] == [400] * 5 + [429]


async def test_whatever_has_no_bucket_of_its_own_shares_the_general_one(server: Running) -> None:
    request = ListAvailableProvidersRequest()
    statuses = [(await server.call("MarketService/ListAvailableProviders", request)).status for _ in range(301)]
    assert statuses == [200] * 300 + [429]


async def test_whoever_shows_a_good_key_is_not_counted_with_the_others_of_an_address(server: Running) -> None:
    request = ListAvailableProvidersRequest()

    async def listed(**headers: str) -> int:
        return (await server.call("MarketService/ListAvailableProviders", request, **headers)).status

    assert {await listed(x_renter_key="bad") for _ in range(300)} == {200}
    assert await listed() == 429
    assert await listed(authorization=f"Bearer {server.accounts.renter}") == 200
    assert await listed(x_query_key=server.accounts.provider) == 200
    assert {await listed(x_renter_key=server.accounts.renter) for _ in range(299)} == {200}
    assert await listed(x_renter_key=server.accounts.renter) == 429
    keyed = {"x_client_address": "203.0.113.7", "x_renter_key": server.accounts.renter}
    register = RegisterRenterRequest()
    statuses = [(await server.call("RenterService/RegisterRenter", register, **keyed)).status for _ in range(6)]
    assert statuses == [400] * 5 + [429]


async def test_an_address_may_fail_sixty_times_a_minute(server: Running, clock: ManualClock) -> None:
    async def balance(key: str) -> int:
        return (await server.call("RenterService/GetBalance", GetBalanceRequest(), x_renter_key=key)).status

    assert [await balance("bad") for _ in range(61)] == [401] * 60 + [429]
    assert await balance(server.accounts.renter) == 200
    admin = await server.call("AdminService/GetDashboard", GetDashboardRequest(), x_admin_token=ADMIN_TOKEN)
    assert admin.status == 429
    clock.advance(60)
    admin = await server.call("AdminService/GetDashboard", GetDashboardRequest(), x_admin_token=ADMIN_TOKEN)
    assert admin.status == 200


@pytest.mark.parametrize("method", ["RenterService/GetBalance", "MarketService/ListAvailableProviders"])
async def test_keys_of_an_address_that_failed_are_hardly_looked_up(
    server: Running, clock: ManualClock, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """714 made-up keys a second of one address held the server's core at 87 %."""
    looked_up: list[str] = []
    find = key_holders.find

    def counted(conn: Any, key_ids: Collection[str], now_ms: int) -> Any:
        looked_up.extend(key_ids)
        return find(conn, key_ids, now_ms)

    monkeypatch.setattr(key_holders, "find", counted)

    async def call(key: str) -> int:
        return (await send(server, method, b"", x_renter_key=key)).status

    statuses = [await call(new_key(KeyRole.RENTER).key) for _ in range(100)]
    assert len(looked_up) == 65
    assert statuses.count(429) == (0 if "List" in method else 40)
    clock.advance(1)
    # One that is good has its chance, and then is known.
    assert {await call(server.accounts.renter) for _ in range(10)} == {200}
    assert len(looked_up) == 66


async def test_made_up_jobs_are_counted_like_everything_else(server: Running) -> None:
    key = server.accounts.renter

    async def retry(job_id: str) -> int:
        return (await server.call("JobService/RetryJob", RetryJobRequest(job_id=job_id), x_renter_key=key)).status

    assert 429 not in {await retry(f"job-made-up-{number}") for number in range(300)}
    assert await retry("job-made-up-300") == 429
    assert (await server.call("RenterService/GetBalance", GetBalanceRequest(), x_renter_key=key)).status == 429


async def test_a_job_is_retried_three_times_a_minute(server: Running) -> None:
    async def retry(job_id: str) -> int:
        request = RetryJobRequest(job_id=job_id)
        return (await server.call("JobService/RetryJob", request, x_renter_key=server.accounts.renter)).status

    assert 429 not in [await retry("1") for _ in range(3)]
    assert await retry("1") == 429
    assert await retry("2") != 429


def test_subjects_and_buckets_are_counted_apart(clock: ManualClock) -> None:
    limiter = RateLimiter(clock, enabled=True)
    assert [wait_of(limiter, TWICE, "a") for _ in range(3)] == [None, None, 60]
    assert wait_of(limiter, TWICE, "b") is None
    assert wait_of(limiter, Bucket("other", 1, 60), "a") is None


def test_the_wait_is_whole_seconds_within_the_window(clock: ManualClock) -> None:
    limiter = RateLimiter(clock, enabled=True)
    for _ in range(2):
        limiter.spend(TWICE, Subject("a"))
    clock.advance(59.999)
    assert wait_of(limiter, TWICE, "a") == 1
    clock.advance(0.001)
    assert wait_of(limiter, TWICE, "a") is None


def test_switched_off_it_counts_nothing(clock: ManualClock) -> None:
    limiter = RateLimiter(clock, enabled=False)
    assert [wait_of(limiter, TWICE, "a") for _ in range(9)] == [None] * 9


def test_ended_windows_make_room(clock: ManualClock) -> None:
    limiter = RateLimiter(clock, enabled=True, capacity=100)
    for number in range(100):
        limiter.spend(TWICE, Subject(f"early {number}"))
    clock.advance(60)
    assert [wait_of(limiter, TWICE, f"late {number}") for number in range(100) for _ in range(2)] == [None] * 200
    assert len(limiter) == 100


def test_a_full_table_resets_no_window_and_gives_none_for_nothing(clock: ManualClock) -> None:
    limiter = RateLimiter(clock, enabled=True, capacity=100)
    for _ in range(2):
        limiter.spend(TWICE, Subject("one"))
    passed = sum(wait_of(limiter, TWICE, f"flood {number}") is None for number in range(10_000))
    assert wait_of(limiter, TWICE, "one") == 60
    # The 99 that had room, and two for each of the windows that all others share.
    assert passed <= 99 + 2 * 1024
    assert len(limiter) <= 100 + 1024


def test_no_flood_of_addresses_reaches_an_account(clock: ManualClock) -> None:
    limiter = RateLimiter(clock, enabled=True, capacity=100)
    for number in range(10_000):
        wait_of(limiter, TWICE, f"flood {number}")
    for account in range(100):
        limiter.spend(TWICE, Subject.of_account(f"renter:{account}"))
    limiter.spend(TWICE, Subject.of_account("renter:1"))
    with pytest.raises(ApiError):
        limiter.spend(TWICE, Subject.of_account("renter:1"))


def test_one_owner_fills_only_windows_of_its_own(clock: ManualClock) -> None:
    limiter = RateLimiter(clock, enabled=True, capacity=100, windows_per_owner=10)

    def passes(subject: Subject) -> bool:
        try:
            limiter.spend(TWICE, subject)
        except ApiError:
            return False
        return True

    assert sum(passes(Subject.of_account("renter:1", f"job-{number}")) for number in range(1000)) == 10 + 2
    assert sum(passes(Subject.of_address(f"2001:db8:1:{number:x}::1")) for number in range(1000)) == 10 + 2
    assert passes(Subject.of_account("renter:2", "job-1"))
    assert passes(Subject.of_address("2001:db8:2::1"))
    assert len(limiter) == 2 * 11 + 2
    clock.advance(60)
    assert passes(Subject.of_account("renter:1", "job-999"))
    assert passes(Subject.of_address("2001:db8:1::1"))
    assert len(limiter) == 2


async def send(server: Running, method: str, data: bytes, **headers: str) -> Answer:
    """Call a method with these bytes as its request."""
    metadata = [(name.replace("_", "-"), value) for name, value in headers.items()]
    stub: Any = server.channel.unary_unary(f"/dcp.v1.{method}")
    try:
        await stub(data, metadata=metadata)
    except grpc.aio.AioRpcError as error:
        return refusal(error)
    return Answer(200, {}, {})


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def test_no_compressed_message_is_unpacked(server: Running) -> None:
    """A stranger's 12 KB were 12 MB on arrival, and 150 MiB once parsed."""
    spec = Value()
    spec.list_value.extend([True] * 300_000)
    options = [("grpc.max_send_message_length", 64 * MEBIBYTE)]
    async with grpc.aio.insecure_channel(server.place, options=options) as channel:
        call: Any = channel.unary_unary("/dcp.v1.ProviderService/RegisterProvider")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(
                RegisterProviderRequest(resource_spec=spec).SerializeToString(), compression=grpc.Compression.Gzip
            )
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("method", "status"),
    [
        ("JobService/SubmitJob", 401),
        ("AdminService/GetDashboard", 401),
        ("ProviderService/Heartbeat", 400),
        ("DaemonService/ReportRunResult", 401),
    ],
)
async def test_nothing_is_parsed_without_a_credential(server: Running, method: str, status: int) -> None:
    answer = await send(server, method, UNREADABLE)
    assert (answer.status, "JSON" in answer.text) == (status, False), answer


async def test_nothing_is_parsed_for_a_bad_key_nor_over_a_limit(serve: Serve) -> None:
    server = await serve(rate_limits_enabled=True)
    bad = await send(server, "JobService/SubmitJob", UNREADABLE, x_renter_key="dc1-renter-bad")
    assert (bad.status, bad.code) == (403, grpc.StatusCode.PERMISSION_DENIED)
    answers = [await send(server, "ProviderService/RegisterProvider", UNREADABLE) for _ in range(6)]
    assert [answer.status for answer in answers] == [400] * 5 + [429]
    large = await send(server, "ProviderService/Heartbeat", UNREADABLE + b"\0" * 65_536, x_provider_key="bad")
    assert (large.status, large.text) == (401, "Invalid API key")
    good = await send(server, "JobService/SubmitJob", UNREADABLE, x_renter_key=server.accounts.renter)
    assert (good.status, good.text) == (400, "Malformed JSON body")


@pytest.mark.parametrize("is_rest", ["0", "1"])
async def test_the_edge_hears_beforehand_who_is_refused(serve: Serve, harness: Harness, is_rest: str) -> None:
    """Asked with headers alone, a method says what it would say, and does nothing."""
    server = await serve(rate_limits_enabled=True)

    async def asked(method: str, **headers: str) -> Answer:
        return await send(server, method, b"", x_admission="1", x_rest=is_rest, **headers)

    key = server.accounts.renter
    none, bad = await asked("JobService/SubmitJob"), await asked("JobService/SubmitJob", x_renter_key="bad")
    assert (none.status, bad.status) == (401, 403)
    assert none.text == (await send(server, "JobService/SubmitJob", b"")).text
    assert bool(none.body) == (is_rest == "1")
    assert (await asked("AdminService/GetDashboard", authorization=f"Bearer {key}")).status == 401
    assert (await asked("JobService/StreamJob", x_renter_key="bad")).status == 401
    assert {(await asked("JobService/SubmitJob", x_renter_key=key)).status for _ in range(40)} == {200}
    for _ in range(20):
        assert (await server.call("JobService/SubmitJob", J3, x_renter_key=key)).status == 201
    assert (await asked("JobService/SubmitJob", x_renter_key=key)).status == 429


async def test_a_message_larger_than_its_method_takes_is_not_parsed(server: Running) -> None:
    """Zeros in an unknown field cost as much as any other."""
    padding = b"\xfa\x3f" + b"\xff\xff\xff\x03" + b"\0" * (8 * MEBIBYTE - 1)
    for method, data in (
        ("ProviderService/RegisterProvider", padding),
        ("ProviderService/RegisterProvider", b"\0" * (3 * MEBIBYTE // 2 + 1)),
        ("RenterService/RegisterRenter", b"\0" * (128 * 1024 + 1)),
        ("JobService/SubmitJob", b"\0" * (2 * MEBIBYTE + 1)),
        ("DaemonService/ReportRunResult", b"\0" * (10 * MEBIBYTE + 1)),
    ):
        answer = await send(server, method, data)
        assert (answer.status, answer.code) == (413, grpc.StatusCode.RESOURCE_EXHAUSTED), method


async def test_requests_of_many_values_are_refused_before_they_are_walked(server: Running) -> None:
    """On the loop, where each value takes a hundred times its bytes, and everybody else waits."""
    many = Value()
    many.list_value.extend([True] * 19_000)
    taken = SubmitJobRequest(job_type="training", duration_minutes=1, params=Struct(fields={"many": many}))
    submitted = await server.call("JobService/SubmitJob", taken, x_renter_key=server.accounts.renter)
    assert submitted.status == 201
    more = SubmitJobRequest(job_type="training", duration_minutes=1, params=Struct(fields={"many": many, "more": many}))
    names = SubmitJobRequest(job_type="training", env_vars={str(number): "" for number in range(20_001)})
    for request in (more, names):
        answer = await server.call("JobService/SubmitJob", request, x_renter_key=server.accounts.renter)
        assert (answer.status, answer.code) == (413, grpc.StatusCode.RESOURCE_EXHAUSTED)


def test_the_edge_and_the_server_count_alike() -> None:
    results = ("DaemonService/ReportJobResult", "DaemonService/ReportRunResult")
    assert {options_of(f"/dcp.v1.{method}").max_values for method in results} == {MAX_RESULT_VALUES}
    assert options_of("/dcp.v1.JobService/SubmitJob").max_values == MAX_VALUES


async def test_strangers_large_requests_leave_no_memory_behind(server: Running) -> None:
    spec = Value()
    spec.list_value.extend([True] * 500_000)
    data = RegisterProviderRequest(resource_spec=spec).SerializeToString()
    del spec
    await send(server, "ProviderService/RegisterProvider", data)
    before = peak_mib()
    for _ in range(20):
        await send(server, "ProviderService/RegisterProvider", data)
    assert peak_mib() - before < 20


async def test_a_key_in_the_body_is_found_wherever_it_stands(server: Running) -> None:
    result = Value(string_value="x" * 9 * MEBIBYTE)
    large = ReportRunResultRequest(job_id=Value(string_value="1"), result=result, success=True).SerializeToString()
    key = ReportRunResultRequest(api_key=server.accounts.provider).SerializeToString()
    for data in (key + large, large + key, large + b"\xfd\x3f1234" + key):
        assert (await send(server, "DaemonService/ReportRunResult", data)).status == 200
    assert (await send(server, "DaemonService/ReportRunResult", large)).status == 401
    cut = (large + key)[: len(large) + 2]
    assert (await send(server, "DaemonService/ReportRunResult", cut)).status == 401


async def test_a_stream_ends_with_a_message_that_cannot_be_taken(server: Running, harness: Harness) -> None:
    async def echo(requests: AsyncIterator[ConnectRequest]) -> AsyncIterator[ConnectResponse]:
        async for _ in requests:
            yield ConnectResponse()

    harness.behaviours["Connect"] = echo
    key = server.accounts.provider
    options = [("grpc.max_send_message_length", 64 * MEBIBYTE)]
    async with grpc.aio.insecure_channel(server.place, options=options) as channel:
        for data, status in ((UNREADABLE, 400), (b"\0" * (11 * MEBIBYTE + 1), 413)):
            stub: Any = channel.stream_stream("/dcp.v1.ProviderService/Connect")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                [message async for message in stub(iter([b"", data]), metadata=[("x-provider-key", key)])]
            assert refusal(caught.value).status == status
