"""Who prefers speed is answered by the engine that was measured to be fast, and everybody is shown how fast (6.2)."""

from dc1.testing.market import LocalMarket
from dc1.testing.poll_daemon import MODEL
from dc1.testing.rest import Json
from dc1.testing.stream_daemon import StreamDaemon
from tests.contract.expect import answered
from tests.contract.inference.chat import Caller, finish, serve


def answer_at(market: LocalMarket, caller: Caller, daemon: StreamDaemon, at: int, ttft: float, seconds: float) -> None:
    """A streamed call that begins so late and whose other nine tokens take so long."""
    call = caller.ask(stream=True, provider={"only": [at]})
    lease = daemon.accept(daemon.expect("offer")).lease
    market.advance(ttft)
    daemon.send_tokens(lease, "t")
    # Its receipt comes when what was sent before was taken.
    daemon.send_logs(lease, 1, "begun")
    market.advance(seconds)
    for _ in range(9):
        daemon.send_tokens(lease, "t")
    finish(daemon, lease, "t" * 10)
    assert call.result().status_code == 200


def speed(shown: Json) -> tuple[float | None, float | None]:
    return shown["ttft_ms_p50"], shown["tokens_per_second_p50"]


def test_who_prefers_speed_is_answered_by_the_fastest(
    market: LocalMarket, daemon: StreamDaemon, caller: Caller
) -> None:
    quick = market.connect(market.add_provider())
    unknown = market.connect(market.add_provider())
    served = f"/v1/models/{MODEL}"
    assert speed(answered(market.rest.get(served))) == (None, None)
    assert answered(market.admin.get("/admin/providers"))["providers"][0]["engine_speeds"] == []
    for _ in range(3):
        answer_at(market, caller, daemon, 1, ttft=3, seconds=1)
        answer_at(market, caller, quick, 2, ttft=1, seconds=3)
    assert speed(answered(market.rest.get(served))) == (2000, 6)
    listed = answered(market.admin.get("/admin/providers"))["providers"]
    (shown,) = next(each for each in listed if each["id"] == 2)["engine_speeds"]
    assert (shown["model"], shown["calls"], *speed(shown)) == (MODEL, 3, 1000, 3.0)
    for sort, fastest in (("latency", quick), ("throughput", daemon)):
        call = caller.ask(provider={"sort": sort})
        serve(fastest)
        answered(call.result())
    # Of whom nothing is known, answers only where those who are fast may not.
    call = caller.ask(provider={"sort": "latency", "ignore": [1, 2]})
    serve(unknown)
    answered(call.result())
