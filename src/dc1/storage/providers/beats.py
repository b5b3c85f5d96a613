"""What most heartbeats change of a provider's row, for a whole fleet in two statements."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Text,
    bindparam,
    cast,
    func,
    literal_column,
    select,
    type_coerce,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from dc1.domain.base.clock import day_start_ms
from dc1.domain.base.json_types import JsonObject, compact
from dc1.storage.engine.followed import COUNTS_ONLY
from dc1.storage.engine.statements import PreparedStatement
from dc1.storage.schema.tables import provider_days, providers


@dataclass(frozen=True, slots=True)
class StoredBeat:
    """A sign of life that says nothing new of the machine but its metrics.

    `heartbeats` counts the beats since the report that was flushed before this one.
    """

    provider_id: int
    last_heartbeat_ms: int | None
    heartbeats: int
    gpu_status: JsonObject | None


def store(conn: Connection, beats: Sequence[StoredBeat], now_ms: int) -> None:
    """Store what was heard since the last flush: two statements, however many providers there are."""
    if not beats:
        return
    # One text, which the database takes apart: a row that is bound value by value costs this process, whose threads
    # take turns, more than storing it costs the database. In the order of whole reports, which the database may keep;
    # where it does not, only a machine that two servers store at one moment could make them wait for each other.
    ordered = sorted(beats, key=lambda beat: beat.provider_id)
    rows = compact([_row(beat) for beat in ordered])
    update_providers, add_to_days = _statements(conn.dialect.name)
    update_providers.run(conn, {"rows": rows})
    add_to_days.run(conn, {"rows": rows, "day_ms": day_start_ms(now_ms)})


def _row(beat: StoredBeat) -> list[Any]:
    # A text of its own: JSON that is JSON's again loses the spelling of its numbers.
    status = None if beat.gpu_status is None else compact(beat.gpu_status)
    return [beat.provider_id, beat.last_heartbeat_ms, beat.heartbeats, status]


@cache
def _statements(engine_name: str) -> tuple[PreparedStatement, PreparedStatement]:
    is_sqlite = engine_name == "sqlite"
    sent = bindparam("rows", type_=Text)
    if is_sqlite:
        found = func.json_each(sent).table_valued("value")
    else:
        found = func.json_array_elements(cast(sent, postgresql.JSON)).table_valued("value").render_derived()

    def text(place: int) -> ColumnElement[str]:
        return found.c.value.op("->>", return_type=Text())(literal_column(str(place)))

    def number(place: int) -> ColumnElement[int]:
        return cast(text(place), BigInteger)

    provider_id, heard_ms, heartbeats, status = number(0), number(1), number(2), text(3)
    updated = update(providers).where(providers.c.id == provider_id)
    updated = updated.values(
        last_heartbeat_ms=heard_ms,
        heartbeats_received=providers.c.heartbeats_received + heartbeats,
        gpu_status=func.coalesce(status, type_coerce(providers.c.gpu_status, Text)),
    )
    # Other servers find it when they look next, within a second: they need not look at once, each second, for beats.
    updated = updated.execution_options(**COUNTS_ONLY)
    counted = select(provider_id, bindparam("day_ms", type_=BigInteger), heartbeats).where(heartbeats > 0)
    insert = sqlite.insert if is_sqlite else postgresql.insert
    days = insert(provider_days).from_select(["provider_id", "day_ms", "heartbeats"], counted)
    raised = provider_days.c.heartbeats + days.excluded.heartbeats
    added = days.on_conflict_do_update(index_elements=["provider_id", "day_ms"], set_={"heartbeats": raised})
    return PreparedStatement(updated), PreparedStatement(added)
