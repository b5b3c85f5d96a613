"""Whatever is in a row, it costs that row's owner an answer at most: the others are served, and every loop goes on."""

import shutil
import sqlite3
from collections.abc import Iterator
from functools import cached_property, partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Table

from dc1.control.control_plane import ControlPlane
from dc1.storage.schema.columns import ExactDecimal, ExactJson, StoredEnum, StoredMoment, metadata
from dc1.testing.clock import ManualClock
from dc1.testing.edge import Edge
from dc1.testing.market import LocalMarket
from dc1.testing.people import Renter
from tests.contract.conventions.test_odd_rows import OF_ADMIN, OF_RENTER
from tests.contract.expect import answered
from tests.contract.scene import Scene

ODD_JSON = ("{", "[]", '{"a": [1e999, null]}', '"text"', "[" * 50_000, "null", '{"a": {"b": [true, -5]}}', "[1, {}]")
ODD_TEXTS = ("from another version", "", "😀", "0", "NULL", "ملغى", "\n", "x" * 5000)
ODD_DECIMALS = ("three", "NaN", "-1", "1e99999", "", "Infinity", "--", "0x10")
ODD_MOMENTS = ("soon", 2**62, -1, "", 1.5, b"\xff", "2026-03-22T19:00:10Z", -(2**62))
ODD_VALUES: tuple[tuple[type, tuple[Any, ...]], ...] = (
    (ExactJson, ODD_JSON),
    (StoredEnum, ODD_TEXTS),
    (ExactDecimal, ODD_DECIMALS),
    (StoredMoment, ODD_MOMENTS),
)
ROUNDS = 2
OF_PROVIDER = (
    "/providers/me",
    "/providers/earnings",
    "/providers/me/jobs",
    "/providers/me/export",
    "/providers/me/withdrawals",
)
MORE_OF_RENTER = (
    "/renters/me/keys",
    "/renters/me/webhooks/deliveries",
    "/renters/balance",
    "/jobs/1/logs",
)
OF_ANYBODY = ("/providers/available", "/containers/registry", "/v1/models", "/health")
MORE_OF_ADMIN = (
    "/admin/renters",
    "/admin/audit",
    "/admin/withdrawals",
    "/admin/finance/summary",
    "/admin/daemon-events",
)


def odd_columns(table: Table) -> list[tuple[Column[Any], tuple[Any, ...]]]:
    """The columns of a table that can hold what makes no sense, with what is put there."""
    return [
        (column, odd)
        for column in table.columns
        for kind, odd in ODD_VALUES
        if isinstance(column.type, kind) and not column.primary_key
    ]


# The database itself refuses to change them, whoever asks.
IMMUTABLE = "movements"
TABLES = [name for name, table in sorted(metadata.tables.items()) if odd_columns(table) and name != IMMUTABLE]


def spoil(path: Path, table: Table, turn: int) -> int:
    """Put something odd into every such column of the table's first row; return how many rows there were to spoil."""
    spoilt = 0
    database = sqlite3.connect(path)
    try:
        # As a hand on the file would, which no rule of the schema holds back.
        database.execute("PRAGMA ignore_check_constraints = ON")
        for place, (column, odd) in enumerate(odd_columns(table)):
            value = next(islice(cycle(odd), turn + place, None))
            first = f"(SELECT min(rowid) FROM {table.name})"
            changed = database.execute(
                f"UPDATE {table.name} SET {column.name} = ? WHERE rowid = {first}",
                [
                    value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
                    if isinstance(value, str)
                    else value
                ],
            )
            spoilt += changed.rowcount
        database.commit()
    finally:
        database.close()
    return spoilt


def paths_of(market: LocalMarket, victim: Scene, neighbour: Renter) -> Iterator[tuple[str, Any]]:
    # Streams of a job whose state is unknown end with its deadline only.
    for path in (path for path in (*OF_RENTER, *MORE_OF_RENTER) if "stream" not in path):
        yield path, partial(victim.renter.get, headers={"accept": "application/json"})
    for path in OF_PROVIDER:
        yield path, victim.provider.get
    for path in (*OF_ADMIN, *MORE_OF_ADMIN):
        yield path, market.admin.get
    for path in OF_ANYBODY:
        yield path, partial(market.rest.get, key=neighbour.key)


async def go_round(plane: ControlPlane) -> None:
    """Take each step of the loops once; what fails is raised here."""
    await plane.dispatcher.dispatch()
    await plane.reaper.presence()
    await plane.reaper.deadlines()
    await plane.report_flusher.flush()
    await plane.catalog.load()


class Town:
    """A market that stands still, with all that its people did, which every test finds as it was."""

    def __init__(self, market: LocalMarket) -> None:
        self.market = market
        self.victim, self.other = Scene(market), Scene(market)
        done = self.victim.job("completed")
        # Whose row is the first of every table, which is the one that is spoilt.
        assert done == 1
        self.victim.renter.submit(model="nobody/offers-this")
        self.victim.key_id()
        self.victim.withdrawal()
        self.victim.job("pending")
        self.neighbours_job = self.other.job("completed")
        market.stop_server()
        self._stopped_at_ms = market.clock.now_ms()
        shutil.copy(self.database, self._as_it_was)

    @cached_property
    def database(self) -> Path:
        return self.market.data_directory / "dc1.sqlite3"

    @cached_property
    def _as_it_was(self) -> Path:
        return self.market.data_directory / "as-it-was.sqlite3"

    def restore(self) -> None:
        """Put time and database back to where they were."""
        self.market.stop_server()
        for rest in ("-wal", "-shm"):
            Path(f"{self.database}{rest}").unlink(missing_ok=True)
        shutil.copy(self._as_it_was, self.database)
        self.market.clock = ManualClock(self._stopped_at_ms)


@pytest.fixture(scope="module")
def town(edge: Edge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    # Made once: it takes as long as everything that a test does with it.
    market = LocalMarket(edge, tmp_path_factory.mktemp("town"))
    yield Town(market)
    # Before the market is closed, which would find the books wrong: a job whose status was overwritten is in none.
    market.stop_server()
    market.close()


@pytest.mark.parametrize("turn", range(ROUNDS))
@pytest.mark.parametrize("name", TABLES)
def test_an_unreadable_row_ends_nothing(town: Town, name: str, turn: int) -> None:
    town.restore()
    market, other = town.market, town.other
    spoil(town.database, metadata.tables[name], turn)

    market.start_server()

    refused = {}
    for path, get in paths_of(market, town.victim, other.renter):
        answer = get(path)
        if answer.status_code >= 500:
            refused[path] = answer.text
    market.edge.loop.run(go_round(market.server.market))
    market.advance(61)
    assert not refused
    assert other.renter.job(town.neighbours_job)["status"] == "completed"
    again = other.renter.submit(provider_id=other.provider.id)
    assert market.next_job(other.provider)["id"] == again["id"]
    answered(other.provider.try_result(again["id"], result={"type": "text", "response": "ok"}))
    assert market.admin.get("/admin/jobs").status_code == 200
