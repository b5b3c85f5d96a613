import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Engine, create_engine, inspect, text

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
from dc1.testing.postgres import PostgresServer
from tests.storage.market import NOW, Market

Copied = Callable[[URL], AbstractContextManager[str]]
DONE = AttemptReport(completed=True, result={"type": "text", "response": "ok"})

RATES = {
    **dict.fromkeys(("llm-inference", "llm_inference", "rag-pipeline"), 15),
    **dict.fromkeys(("vllm_serve", "rendering", "image_generation"), 20),
    "training": 25,
    **dict.fromkeys(("custom_container", "benchmark", "default"), 10),
}
"""Halala per minute, as documented."""


@cache
def scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", "dc1.storage.schema:migrations")
    config.set_main_option("recursive_version_locations", "true")
    return ScriptDirectory.from_config(config)


@pytest.fixture(autouse=True)
def _scripts_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step would read all of them, which takes longer than the step."""
    found = scripts()
    monkeypatch.setattr(ScriptDirectory, "from_config", lambda _: found)


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


def test_the_revisions_are_those_that_alembic_applies() -> None:
    """They are known by the names of their files, and applied in the order that stands in them."""
    found = [script.revision for script in scripts().walk_revisions()]
    assert found[::-1] == revisions()


def is_a_table_of_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Leave out the parts that PostgreSQL keeps a table in."""
    return kind != "table" or name in metadata.tables


def test_the_migrations_build_the_tables_of_the_code(engine: Engine) -> None:
    upgrade(engine.url)
    with engine.connect() as connection:
        assert current_revision(connection) == newest_revision()
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": False, "include_name": is_a_table_of_ours}
        )
        assert compare_metadata(context, metadata) == []


def shape(engine: Engine) -> dict[str, object]:
    """What the tables of a database are, whatever is in them and in whichever order their columns came about."""
    inspector = inspect(engine)
    # Of all tables at once: one after the other takes longer than the migrations.
    columns, indexes = inspector.get_multi_columns(), inspector.get_multi_indexes()
    return {
        table: (
            sorted((column["name"], str(column["type"]), column["nullable"]) for column in columns[None, table]),
            sorted(str(index["name"]) for index in indexes.get((None, table), ())),
        )
        for table in inspector.get_table_names()
    }


def test_each_revision_goes_up_and_comes_down_again(engine: Engine) -> None:
    before: dict[str, dict[str, object]] = {}
    for revision in revisions():
        upgrade(engine.url, revision)
        before[revision] = shape(engine)
    upgrade(engine.url, NEWEST)
    assert shape(engine) == before[newest_revision()]
    assert before[newest_revision()].keys() >= metadata.tables.keys()
    for revision in revisions()[-2::-1]:
        downgrade(engine.url, revision)
        assert (revision, shape(engine)) == (revision, before[revision])
    downgrade(engine.url, EMPTY)
    assert shape(engine).keys() == {"alembic_version"}


def test_all_revisions_go_up_and_come_down_at_once(engine: Engine) -> None:
    upgrade(engine.url, NEWEST)
    upgrade(engine.url, NEWEST)
    made = shape(engine)
    downgrade(engine.url, EMPTY)
    assert shape(engine).keys() == {"alembic_version"}
    upgrade(engine.url, NEWEST)
    assert shape(engine) == made


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


def everything(url: URL) -> dict[str, object]:
    """All that a database decides by: its tables and their rules, its triggers, and every row."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            found: dict[str, object] = {}
            for table in inspect(connection).get_table_names():
                rows = connection.execute(text(f'SELECT * FROM "{table}"')).mappings()
                found[table] = sorted(str(sorted(row.items())) for row in rows)
            for query in RULES[engine.dialect.name]:
                # In whichever order columns came about, and lines of a statement.
                rules = connection.execute(text(query))
                found[query] = sorted(str(sorted(str(rule).replace(",\\n", "\\n").split("\\n"))) for rule in rules)
            return found
    finally:
        engine.dispose()


RULES = {
    "sqlite": ("SELECT type, tbl_name, name, sql FROM sqlite_master",),
    "postgresql": (
        "SELECT attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute "
        "JOIN pg_class ON attrelid = pg_class.oid "
        "WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped",
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE connamespace = 'public'::regnamespace",
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
        "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
        "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
        "SELECT sequencename, last_value FROM pg_sequences",
    ),
}
"""What tells of everything but rows, by engine."""


@pytest.fixture
def copied(engine_name: str, tmp_path: Path, request: pytest.FixtureRequest) -> Copied:
    """Copies a database that nobody has open."""

    @contextmanager
    def copied(url: URL) -> Iterator[str]:
        if engine_name == "sqlite":
            shutil.copy(str(url.database), tmp_path / "copy.sqlite3")
            yield f"sqlite:///{tmp_path / 'copy.sqlite3'}"
            # With its log, which would be taken for that of the next one.
            for file in tmp_path.glob("copy.sqlite3*"):
                file.unlink()
            return
        server: PostgresServer = request.getfixturevalue("postgres_server")
        name = f"t{uuid4().hex}"
        yield server.create(name, template=str(url.database))
        server.drop(name)

    return copied


async def test_a_market_survives_the_way_down_to_each_revision_and_up_again(url: str, copied: Copied) -> None:
    """A way up that begins as the next shorter one did is that one, so that most are gone by a single step."""
    market = Market(Database.open(url))
    renter, provider = await market.renter(), await market.provider()
    await market.submit(renter)
    await market.running(renter, provider)
    await market.do(lifecycle.finish, (await market.running(renter, provider)).id, DONE, NOW + 95_000)
    await market.db.close()

    async def check(place: str) -> None:
        upgrade(normalised(place))
        market = Market(Database.open(place))
        await market.check_books()
        assert await market.wallet(renter) == (1000 - 24 - 90, 90)
        await market.do(lifecycle.finish, (await market.running(renter, provider)).id, DONE, NOW + 95_000)
        await market.check_books()
        await market.db.close()

    place = market.db.url
    with copied(place) as copy:
        await check(copy)
    with copied(place) as copy:
        # Down in one transaction, which the steps below are not.
        downgrade(normalised(copy), revisions()[0])
        await check(copy)
    known = everything(place)
    for higher, revision in zip(revisions()[:0:-1], revisions()[-2::-1], strict=True):
        downgrade(place, revision)
        upgrade(place, higher)
        goes_on_as_before = everything(place) == known
        downgrade(place, revision)
        known = everything(place)
        if not goes_on_as_before:
            try:
                with copied(place) as copy:
                    await check(copy)
            except BaseException as error:
                error.add_note(f"on the way up from {revision}")
                raise
    # Up in one transaction.
    await check(url)


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
