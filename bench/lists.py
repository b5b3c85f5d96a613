"""The list of machines that everybody may ask for, whole, by the page, and by who has it already."""

from functools import partial

from bench.load import calls_at_once
from bench.market import bench_market
from bench.places import Place
from bench.report import Figure, rate
from bench.rest import request
from bench.seeding import copy_providers

LIST_PATH = "/renters/available-providers"
_ASKED = {
    "whole": (LIST_PATH, {}),
    "by 50": (f"{LIST_PATH}?limit=50", {}),
    "to who has it": (LIST_PATH, {"if-none-match": "*"}),
}


async def measure_lists(place: Place, providers: int, clients: int, seconds: float) -> list[Figure]:
    """Ask for the list as fast as it is answered."""
    figures: list[Figure] = []
    async with bench_market(place, partial(copy_providers, count=providers)) as (market, _):
        for how, (path, headers) in _ASKED.items():
            load = await calls_at_once(market, [request("GET", path, headers)] * clients, seconds)
            answers, spent = load.statuses[200] + load.statuses[304], load.spent
            head = f"list of {providers:,} machines, {how}"
            cpu = {"server": spent.server_cpu / answers, "envoy": spent.envoy_cpu / answers}
            figures += [rate(head, answers, spent.seconds), Figure(f"{head}: CPU", spent.each(answers), cpu)]
    return figures
