"""An exception in one call or stream is felt by no other one."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from dcp.v1.daemon_stream_pb2 import Beat, ConnectRequest, ConnectResponse, Desired
from dcp.v1.job_submission_pb2 import SubmitJobRequest
from dcp.v1.renter_wallet_pb2 import GetBalanceRequest
from tests.server.harness import Harness, Running
from tests.support.made_up_failures import KINDS, Failure

J3 = SubmitJobRequest(job_type="llm_inference", duration_minutes=3)
CONNECT = "ProviderService/Connect"


class Calls:
    """A server one of whose methods fails, and a daemon's stream that goes on beside it."""

    def __init__(self, server: Running, harness: Harness) -> None:
        self._server = server
        self._behaviours = harness.behaviours
        self._sequence = 0
        self._behaviours["Connect"] = echo
        self._stream = server.stream(CONNECT, None, x_provider_key=server.accounts.provider)

    async def fails(self, failure: Failure) -> None:
        async def submit(_: Any) -> Any:
            raise failure()

        self._behaviours["SubmitJob"] = submit
        answer = await self._server.call("JobService/SubmitJob", J3, x_renter_key=self._server.accounts.renter)
        assert (answer.status, answer.text) == (500, "Job submission failed")

    async def stream_fails(self, failure: Failure) -> None:
        async def connect(requests: AsyncIterator[ConnectRequest]) -> AsyncIterator[ConnectResponse]:
            await anext(requests)
            raise failure()
            yield

        self._behaviours["Connect"] = connect
        stream = self._server.stream(CONNECT, None, x_provider_key=self._server.accounts.provider)
        await stream.write(ConnectRequest(beat=Beat(sequence=1)))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stream.read()
        assert caught.value.code() is grpc.StatusCode.INTERNAL

    async def neighbours_live(self) -> None:
        self._sequence += 1
        await self._stream.write(ConnectRequest(beat=Beat(sequence=self._sequence)))
        assert (await self._stream.read()).desired.sequence == self._sequence
        answer = await self._server.call(
            "RenterService/GetBalance", GetBalanceRequest(), x_renter_key=self._server.accounts.renter
        )
        assert answer.status == 200


async def echo(requests: AsyncIterator[ConnectRequest]) -> AsyncIterator[ConnectResponse]:
    async for request in requests:
        yield ConnectResponse(desired=Desired(sequence=request.beat.sequence))


async def test_no_kind_of_failure_is_felt_by_the_neighbours(server: Running, harness: Harness) -> None:
    calls = Calls(server, harness)
    with capture_logs():
        async with asyncio.timeout(30):
            for kind in KINDS:
                await calls.neighbours_live()
                await calls.fails(kind)
                await calls.stream_fails(kind)
            await calls.neighbours_live()
