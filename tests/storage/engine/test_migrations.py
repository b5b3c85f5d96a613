import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, inspect, text

from dc1.domain.jobs.attempt_report import AttemptReport
from dc1.domain.jobs.states import JOB_TYPES, Actor, JobSource
from dc1.domain.money.withdrawals import WithdrawalStatus
from dc1.storage.accounts import wallets
from dc1.storage.admin import catalog
from dc1.storage.engine.database import Connection, Database, normalised
from dc1.storage.engine.migrate import EMPTY, NEWEST, current_revision, downgrade, newest_revision, revisions, upgrade
from dc1.storage.jobs import job_events, jobs, lifecycle
from dc1.storage.jobs.job_records import JobSpec
from dc1.storage.money import promo_earnings, withdrawals
from dc1.storage.schema import migrations
from dc1.storage.schema.tables import metadata
from tests.storage.market import NOW, Market

DONE = AttemptReport(completed=True, result={"type": "text", "response": "ok"})

RATES = {
    **dict.fromkeys(("llm-inference", "llm_inference", "rag-pipeline"), 15),
    **dict.fromkeys(("vllm_serve", "rendering", "image_generation"), 20),
    "training": 25,
    **dict.fromkeys(("custom_container", "benchmark", "default"), 10),
}
"""Halala per minute, as documented."""


@pytest.fixture
def engine(empty_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    parsed = normalised(empty_url)
    if parsed.get_backend_name() == "sqlite":
        parsed = parsed.set(database=str(tmp_path_factory.mktemp("db") / "dc1.sqlite3"))
    engine = create_engine(parsed)
    yield engine
    engine.dispose()


def test_revisions_are_numbered_without_a_gap_and_lie_in_folders_of_ten() -> None:
    """A file in a folder that nobody looks into would be a change that no database gets."""
    numbers = [f"{number:04}" for number in range(1, len(revisions()) + 1)]
    assert revisions() == numbers
    folder = Path(migrations.__file__).parent / "versions"
    files = sorted(path.relative_to(folder) for path in folder.rglob("r*.py"))
    assert [(path.parent.name, path.name[:6]) for path in files] == [(f"r{n[:3]}", f"r{n}_") for n in numbers]


def is_a_table_of_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Leave out the parts that PostgreSQL keeps a table in."""
    return kind != "table" or name in metadata.tables


def table_names(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


def test_the_migrations_build_the_tables_of_the_code(engine: Engine) -> None:
    upgrade(engine.url)
    with engine.connect() as connection:
        assert current_revision(connection) == newest_revision()
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": False, "include_name": is_a_table_of_ours}
        )
        assert compare_metadata(context, metadata) == []


@pytest.mark.parametrize("start", revisions())
def test_up_and_down_from_every_revision(engine: Engine, start: str) -> None:
    upgrade(engine.url, start)
    before = table_names(engine)
    upgrade(engine.url, NEWEST)
    upgrade(engine.url, NEWEST)
    assert table_names(engine) >= {table.name for table in metadata.sorted_tables}
    downgrade(engine.url, start)
    assert table_names(engine) == before
    downgrade(engine.url, EMPTY)
    assert table_names(engine) == {"alembic_version"}
    upgrade(engine.url, NEWEST)


def rules(engine: Engine) -> dict[str, set[str]]:
    """What the comparison of Alembic leaves out: the checks of each table, and what its partial indexes cover."""
    inspector = inspect(engine)
    found: dict[str, set[str]] = {}
    for table in metadata.tables:
        checks = {f"{check['name']}: {check['sqltext']}" for check in inspector.get_check_constraints(table)}
        partial = f"{engine.dialect.name}_where"
        indexes = {
            f"{index['name']}: {index['dialect_options'].get(partial)}" for index in inspector.get_indexes(table)
        }
        found[table] = checks | indexes
    return found


def test_the_migrations_make_the_rules_of_the_code(engine: Engine) -> None:
    upgrade(engine.url)
    migrated = rules(engine)
    downgrade(engine.url, EMPTY)
    metadata.create_all(engine)
    assert migrated == rules(engine)


@pytest.mark.parametrize("revision", revisions())
async def test_a_market_survives_the_way_down_and_up_again(url: str, revision: str) -> None:
    market = Market(Database.open(url))
    renter, provider = await market.renter(), await market.provider()
    await market.submit(renter)
    await market.running(renter, provider)
    await market.do(lifecycle.finish, (await market.running(renter, provider)).id, DONE, NOW + 95_000)
    await market.db.close()

    downgrade(market.db.url, revision)
    upgrade(market.db.url)

    market = Market(Database.open(url))
    await market.check_books()
    assert await market.wallet(renter) == (1000 - 24 - 90, 90)
    await market.do(lifecycle.finish, (await market.running(renter, provider)).id, DONE, NOW + 95_000)
    await market.check_books()
    await market.db.close()


async def test_what_the_platform_advanced_survives_the_way_down_and_up_again(url: str) -> None:
    market = Market(Database.open(url))
    renter, own, rival = await market.renter(credit=5), await market.provider(gpus=9), await market.provider(gpus=9)
    spec = JobSpec({}, {"messages": [{"role": "user", "content": "a"}], "max_tokens": 1000})
    for provider, tokens in ((own, 1), (rival, 900), (own, 200), (rival, 800)):
        terms: dict[str, Any] = {"token_price_halala": 1000, "cost_halala": 2, "duration_minutes": None}
        terms |= {"source": JobSource.V1, "rate_halala_per_minute": 0}
        job = await market.running(renter, provider, spec=spec, **terms)
        report = AttemptReport(completed=True, result={"response": "x" * 1000}, completion_tokens=tokens)
        await market.do(lifecycle.finish, job.id, report, NOW + 5)
    query = text("SELECT kind, amount_halala FROM movements WHERE kind LIKE 'advance%'")
    assert await market.db.read(lambda conn: conn.execute(query).all()) == [("advance_promo", 1)]
    await market.db.close()

    downgrade(market.db.url, "0018")
    upgrade(market.db.url)

    market = Market(Database.open(url))
    await market.check_books()
    await market.db.close()


async def test_withdrawals_of_before_tell_starter_credit_from_cash(url: str) -> None:
    market = Market(Database.open(url))
    renter, provider = await market.renter(), await market.provider(gpus=9)
    for seconds in (180, 120):
        job = await market.running(renter, provider)
        await market.do(lifecycle.finish, job.id, DONE, NOW + seconds * 1000)
        await market.do(promo_earnings.release_of_provider, provider, "known", NOW)
        for status in (WithdrawalStatus.REJECTED, WithdrawalStatus.PAID):
            row = await market.do(withdrawals.create, provider, 10, "SA", NOW)
            await market.do(withdrawals.change_status, row.withdrawal_id, status, "no", NOW)
    await market.do(wallets.adjust, renter, -900, "a", None, NOW)
    await market.do(wallets.credit, renter, 100, "c", "a gift", NOW)
    await market.do(lifecycle.finish, (await market.running(renter, provider)).id, DONE, NOW + 180_000)
    row = await market.do(withdrawals.create, provider, 40, "SA", NOW)
    before = [(one.amount_halala, one.promo_halala) for one in (await market.see(withdrawals.page, limit=9)).rows]
    assert before == [(40, 37), *[(10, 10)] * 4]
    await market.db.close()

    downgrade(market.db.url, "0015")
    upgrade(market.db.url)

    market = Market(Database.open(url))
    rows = (await market.see(withdrawals.page, limit=9)).rows
    assert [(one.amount_halala, one.promo_halala) for one in rows] == before
    await market.db.close()


async def test_what_older_servers_kept_of_a_daemon_s_words_is_moved_to_where_renters_do_not_read(url: str) -> None:
    """As those servers wrote them, a daemon's own words are the error of the job, and the message of its event."""
    words = "cannot reach http://10.1.2.3:8000"
    market = Market(Database.open(url))
    renter, provider = await market.renter(), await market.provider()
    failed = await market.running(renter, provider)
    await market.do(lifecycle.finish, failed.id, AttemptReport(completed=False, error=words), NOW + 5)
    retried = await market.running(renter, provider)
    lost: dict[str, Any] = {"queue_deadline_seconds": 60, "actor": Actor.PROVIDER, "error": words}
    await market.db.write(lambda conn: lifecycle.lose(conn, retried.id, 1, NOW + 5, **lost))
    await market.db.close()

    downgrade(market.db.url, "0011")
    upgrade(market.db.url)

    market = Market(Database.open(url))

    def told(conn: Connection) -> list[str]:
        shown = [jobs.known(conn, failed.id).error, jobs.known(conn, retried.id).retry_reason]
        events = [event.message for job in (failed, retried) for event in job_events.page(conn, job.id).rows]
        return [text for text in (*shown, *events) if text is not None]

    assert set(await market.db.read(told)) == {"The run failed"}
    for job in (failed, retried):
        assert [attempt.error_detail for attempt in await market.see(jobs.attempts, job.id)] == [words]
    await market.db.close()


@pytest.mark.parametrize("body", ['{"event":"job.failed","job":{"id":1,"error":"WORDS"}}', "WORDS", '["WORDS"]'])
async def test_webhooks_that_older_servers_wrote_lose_a_daemon_s_words(url: str, body: str) -> None:
    """A delivery is sent again for days, and the body of one is written once."""
    words = "cannot reach http://10.1.2.3:8000"
    market = Market(Database.open(url))
    renter, provider = await market.renter(), await market.provider()
    await market.db.write(lambda conn: conn.execute(text("UPDATE renters SET webhook_url = 'https://a.example/'")))
    failed = await market.running(renter, provider)
    await market.do(lifecycle.finish, failed.id, AttemptReport(completed=False, error=words), NOW + 5)
    put = text("UPDATE webhook_deliveries SET body = :body WHERE event = 'job.failed'")
    await market.db.write(lambda conn: conn.execute(put, {"body": body.replace("WORDS", words)}))
    await market.db.close()

    downgrade(market.db.url, "0011")
    upgrade(market.db.url)

    market = Market(Database.open(url))
    query = text("SELECT event, body FROM webhook_deliveries ORDER BY id")
    bodies = dict(tuple(row) for row in await market.db.read(lambda conn: conn.execute(query).all()))
    assert words not in "".join(bodies.values())
    told = {"event": "job.failed", "job": {"id": 1, "error": "The run failed"}} if "event" in body else {}
    assert json.loads(bodies["job.failed"]) == told
    await market.db.close()


async def test_a_new_market_has_its_prices_and_images(empty_url: str) -> None:
    db = Database.open(empty_url)
    rates = await db.read(catalog.rates)
    assert rates == RATES
    assert {*JOB_TYPES, "default"} == rates.keys()
    images = await db.read(catalog.list_images)
    assert all(image.image_ref.split("/")[0] == "docker.io" for image in images)
    await Market(db).check_books()
    await db.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE postings SET amount_halala = 1",
        "DELETE FROM postings",
        "UPDATE movements SET note = 'better'",
        "DELETE FROM movements",
    ],
)
async def test_the_books_cannot_be_rewritten(url: str, statement: str) -> None:
    db = Database.open(url)
    await Market(db).renter()
    with pytest.raises(Exception, match="immutable"):
        await db.write(lambda conn: conn.execute(text(statement)))
    await db.close()
