"""Where the server listens, who can open that, and whom it believes what it says of a client."""

import asyncio
import contextlib
import grp
import os
import socket
import stat
from pathlib import Path
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from dc1.server.app import Application
from dc1.server.listening.places import ListenError
from dc1.server.method_options import REST
from dc1.server.registry import Registry
from dc1.settings.settings import Settings, SettingsError
from dc1.storage.admin import audit
from dcp.v1.admin_service_pb2 import GetDashboardRequest
from dcp.v1.market_service_pb2 import ListAvailableProvidersRequest
from dcp.v1.renter_wallet_pb2 import GetBalanceRequest
from tests.server.conftest import Serve
from tests.server.harness import ADMIN_TOKEN, Running
from tests.support.ports import listening_ports

DASHBOARD = "AdminService/GetDashboard"
PROVIDERS = "MarketService/ListAvailableProviders"
SECRET = "by-which-edges-prove-themselves-100%"


def application(directory: Path, **chosen: Any) -> Application:
    return Application(Settings(data_dir=directory, **chosen), lambda foundation: Registry([]))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def dashboard(server: Running, **headers: str) -> grpc.StatusCode:
    return (await server.call(DASHBOARD, GetDashboardRequest(), **headers)).code


# The socket


async def test_only_its_owner_can_open_the_socket_whatever_the_umask(serve: Serve, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        server = await serve()
        assert os.umask(0) == 0
    finally:
        os.umask(before)
    path = Path(server.place.removeprefix("unix:"))
    assert (path.name, path.parent.name) == ("grpc.sock", "run")
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)


async def test_no_port_is_open_unless_one_is_asked_for(serve: Serve, tmp_path: Path) -> None:
    before = listening_ports()
    await serve()
    assert listening_ports() <= before
    server = await serve(grpc_port=0, data_dir=tmp_path / "other")
    assert listening_ports() - before == {int(server.place.rpartition(":")[2])}


async def test_a_group_may_open_it_where_one_is_named(serve: Serve, tmp_path: Path) -> None:
    group = grp.getgrgid(os.getegid()).gr_name
    server = await serve(grpc_socket=tmp_path / "sock", grpc_socket_group=group)
    assert mode(Path(server.place.removeprefix("unix:"))) == 0o660


async def test_a_group_that_the_process_has_needs_no_change_of_hands(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbid(*_: object) -> None:
        raise PermissionError("as a sandbox does")

    monkeypatch.setattr(os, "chown", forbid)
    group = grp.getgrgid(os.getegid()).gr_name
    server = await serve(grpc_socket=tmp_path / "sock", grpc_socket_group=group)
    assert mode(Path(server.place.removeprefix("unix:"))) == 0o660


async def test_what_a_killed_server_left_behind_is_replaced(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    server = await serve(grpc_socket=path)
    assert (await server.call(PROVIDERS, ListAvailableProvidersRequest())).status == 200


async def test_a_second_server_does_not_take_the_socket_of_the_first(server: Running, tmp_path: Path) -> None:
    path = Path(server.place.removeprefix("unix:"))
    second = application(tmp_path / "second", grpc_socket=path)
    with pytest.raises(ListenError, match=r"Another server listens on .*grpc\.sock; give this one a DC1_GRPC_SOCKET"):
        await second.start()
    assert (await server.call(PROVIDERS, ListAvailableProvidersRequest())).status == 200


async def test_a_server_that_stopped_leaves_the_path_to_the_next(tmp_path: Path) -> None:
    for _ in range(3):
        app = application(tmp_path)
        place = await app.start()
        async with grpc.aio.insecure_channel(place) as channel:
            await asyncio.wait_for(channel.channel_ready(), 5)
        await app.drain(0)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (Path("/tmp") / ("x" * 110), r"has a path of 115 bytes, and a socket may have 10\d: set DC1_GRPC_SOCKET"),
        (Path("/proc/nowhere/sock"), r"Cannot listen on /proc/nowhere/sock \(DC1_GRPC_SOCKET, .*No such file"),
        (Path("/tmp/sock"), "The directory /tmp is not this user's alone to write into"),
    ],
)
async def test_a_path_of_no_use(tmp_path: Path, path: Path, sentence: str) -> None:
    with pytest.raises(ListenError, match=sentence):
        await application(tmp_path, grpc_socket=path).start()


async def test_a_group_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ListenError, match="no-such-group"):
        await application(tmp_path, grpc_socket_group="no-such-group").start()


# The port


async def test_a_local_process_cannot_make_up_addresses_and_guess_on(serve: Serve) -> None:
    server = await serve(grpc_port=0, rate_limits_enabled=True)
    statuses = [
        await dashboard(server, x_admin_token=f"guess {number}", x_client_address=f"203.0.113.{number}")
        for number in range(200)
    ]
    assert statuses.count(grpc.StatusCode.RESOURCE_EXHAUSTED) == 140


async def test_nothing_that_edges_say_is_believed_of_anybody_else(serve: Serve) -> None:
    server = await serve(grpc_port=0, edge_secret=SECRET)
    forged = {
        "x_rest_method": "GET",
        "x_rest_path": "/health",
        "x_client_address": "203.0.113.7",
        "x_envoy_original_method": "GET",
        "x_envoy_original_path": "/health",
        "x_edge_proof": SECRET[:-1],
    }
    with capture_logs() as logged:
        for _ in range(3):
            await server.call(PROVIDERS, ListAvailableProvidersRequest(), **forged)
    assert (server.last.address, server.last.is_rest) == ("127.0.0.1", False)
    assert not {"x-rest", *(name.replace("_", "-") for name in forged)} & set(server.last.metadata)
    (hint,) = [line for line in logged if line["event"] == "edge_not_believed"]
    assert SECRET[:-1] not in str(logged)
    assert hint["peer"].startswith("ipv4:127.0.0.1:")


OWN_HEADERS = (
    *REST.edge_headers,
    *(
        f"{prefix}{end}"
        for prefix in REST.edge_header_prefixes
        for end in ("key", "renter-key", "original-method", "any")
    ),
    "x-request-id",
)


@pytest.mark.parametrize("name", OWN_HEADERS)
async def test_each_name_of_the_edges_is_nobody_elses(serve: Serve, name: str) -> None:
    server = await serve(grpc_port=0, edge_secret=SECRET)
    stub: Any = server.channel.unary_unary(
        f"/dcp.v1.{DASHBOARD}", request_serializer=GetDashboardRequest.SerializeToString
    )
    token = ("x-admin-token", ADMIN_TOKEN)
    values: dict[str, Any] = {"": "forged-1", "-bin": b"forged-1"}
    for suffix, value in values.items():
        with capture_logs() as logged:
            # Twice, and in the spelling that a reader of another language may take for the same.
            forged = [(f"{name}{suffix}", value), (f"{name}{suffix}", value), (name.replace("-", "_") + suffix, value)]
            with contextlib.suppress(grpc.aio.AioRpcError):
                await stub(GetDashboardRequest(), metadata=(*forged, token))
        assert "forged" not in str(logged), suffix
    entries = await server.database.read(lambda conn: audit.page(conn, limit=9))
    assert "forged" not in str(entries)
    for entry in entries.rows:
        assert (entry.method, entry.path, entry.detail) == ("gRPC", f"/dcp.v1.{DASHBOARD}", "127.0.0.1")
    for call, _ in server.calls:
        assert (call.address, call.is_rest, call.rest_path, call.rest_method) == ("127.0.0.1", False, "", "")
        assert "forged-1" not in (call.request_id, *(call.metadata.get(each) for each in OWN_HEADERS))


async def test_a_key_in_the_query_is_the_edges_to_tell(serve: Serve) -> None:
    server = await serve(grpc_port=0)
    for header in ("x_query_key", "x_query_renter_key"):
        answer = await server.call_natively(
            "RenterService/GetBalance", GetBalanceRequest(), **{header: server.accounts.renter}
        )
        assert answer.code is grpc.StatusCode.UNAUTHENTICATED


async def test_a_call_that_only_edges_may_ask_about_is_neither_judged_nor_made_for_others(serve: Serve) -> None:
    server = await serve(grpc_port=0, edge_secret=SECRET, rate_limits_enabled=True)
    for token in (ADMIN_TOKEN, "guess"):
        answer = await server.call(
            DASHBOARD, GetDashboardRequest(), x_admission="1", x_edge_proof="guess", x_admin_token=token
        )
        assert answer.code is grpc.StatusCode.UNAVAILABLE
    assert not server.calls
    proven = {"x_admission": "1", "x_edge_proof": SECRET}
    assert await dashboard(server, x_admin_token="guess", **proven) is grpc.StatusCode.UNAUTHENTICATED
    assert await dashboard(server, x_admin_token=ADMIN_TOKEN, **proven) is grpc.StatusCode.OK
    assert not server.calls


async def test_an_edge_that_proves_itself_is_believed_and_its_proof_goes_no_further(serve: Serve) -> None:
    server = await serve(grpc_port=0, edge_secret=SECRET)
    await server.call(PROVIDERS, ListAvailableProvidersRequest(), x_edge_proof=SECRET, x_client_address="203.0.113.7")
    assert (server.last.address, server.last.is_rest) == ("203.0.113.7", True)
    assert "x-edge-proof" not in server.last.metadata


async def test_a_proof_from_elsewhere_is_none(serve: Serve) -> None:
    server = await serve(grpc_port=0, edge_secret=SECRET, trusted_edges="192.0.2.0/24")
    await server.call(PROVIDERS, ListAvailableProvidersRequest(), x_edge_proof=SECRET, x_client_address="203.0.113.7")
    assert server.last.address == "127.0.0.1"


async def test_a_server_on_a_port_makes_a_secret_that_only_it_can_read(serve: Serve, tmp_path: Path) -> None:
    server = await serve(grpc_port=0, data_dir=tmp_path)
    kept = tmp_path / "edge.key"
    assert mode(kept) == 0o600
    await server.call(
        PROVIDERS, ListAvailableProvidersRequest(), x_edge_proof=kept.read_text(), x_client_address="203.0.113.7"
    )
    assert server.last.address == "203.0.113.7"


@pytest.mark.parametrize(
    ("chosen", "address"),
    [
        ({}, None),
        ({"grpc_port": 0}, ("127.0.0.1", 0)),
        ({"grpc_host": "10.0.0.1"}, ("10.0.0.1", 50051)),
        ({"grpc_host": "10.0.0.1", "grpc_port": 7}, ("10.0.0.1", 7)),
    ],
)
def test_a_port_is_asked_for_by_either_setting(chosen: dict[str, Any], address: tuple[str, int] | None) -> None:
    assert Settings(**chosen).grpc_address == address


@pytest.mark.parametrize("secret", ["short", "with a tab\tin it, and so not to be sent", "\u0645" * 40])
def test_a_secret_that_cannot_be_sent_is_refused(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    monkeypatch.setenv("DC1_EDGE_SECRET", secret)
    with pytest.raises(SettingsError, match="DC1_EDGE_SECRET") as refused:
        Settings.load()
    assert secret not in str(refused.value)
