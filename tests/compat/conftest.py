"""One market for all clients, with two daemons: the built-in engine, and a model that can do everything."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from dc1.testing.edge import Edge
from dc1.testing.people import Renter
from tests.compat import able_model
from tests.faults.engine import MODEL as ABLE
from tests.faults.engine import Engine
from tests.faults.market import RealMarket

PROMPT = "مرحبا 👋 Say one short sentence about the sea."
BUILT_IN = "HuggingFaceTB/SmolLM2-135M-Instruct"


@dataclass(frozen=True, slots=True)
class Shop:
    """What a client is pointed at, and as whom it buys."""

    market: RealMarket
    edge: Edge
    renter: Renter

    def env(self, model: str, **changes: str) -> dict[str, str]:
        """The variables by which users of the clients set them up, and a key that allows one call a minute."""
        # The client before is done with its own: a renter has twenty at most, and there are more clients.
        for old in self.renter.get("/renters/me/keys").json()["keys"]:
            self.market.rest.rest("DELETE", f"/renters/me/keys/{old['id']}", key=self.renter.key)
        key = self.renter.post("/renters/me/keys", {"requests_per_minute": 1}).json()["key"]
        return {
            "LIMITED_KEY": key,
            "MODEL": model,
            "PROMPT": PROMPT,
            "OPENAI_BASE_URL": f"{self.edge.url}/v1",
            "OPENAI_API_KEY": self.renter.key,
            "ANTHROPIC_BASE_URL": self.edge.url,
            "ANTHROPIC_API_KEY": self.renter.key,
            **changes,
        }


@pytest.fixture(scope="module")
def shop(edge: Edge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One for all tests of a module, as whatever starts after it needs the edge for a market of its own."""
    # Limits on, as clients read what is left of them in each answer.
    market = RealMarket(edge, tmp_path_factory.mktemp("compat"), rate_limits_enabled=True)
    try:
        with Engine.serving() as engine:
            engine.answers = able_model.answer
            market.start_server()
            market.start_daemon(market.add_account(), engine, None, "--engine-concurrency", "32")
            market.start_daemon(market.add_account(), None)
            renter = market.add_renter()
            market.admin.adjust(renter.id, 5_000)
            # Said in the log and not asked for: even the list of models has its limit.
            market.server.expect('"stream_opened"', 2)
            yield Shop(market, edge, renter)
    finally:
        market.close()


@pytest.fixture(scope="module", params=[ABLE, BUILT_IN], ids=["able", "built-in"])
def model(request: pytest.FixtureRequest) -> str:
    """The engine, by the model that it alone serves."""
    name: str = request.param
    return name
