"""A PostgreSQL that its operator set up oddly: each is a sentence at the start, and while we run no fault of ours."""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from dc1.storage.engine import postgres, postgres_checks, write_probe
from dc1.storage.engine.database import (
    Connection,
    Database,
    UnreachableDatabaseError,
    UnusableDatabaseError,
    normalised,
)
from dc1.storage.engine.unwritable import unwritable_reason
from dc1.testing.edge import free_port
from dc1.testing.postgres import OWNER, Node, PostgresServer

CHANGE = text("UPDATE prices SET rate_halala = rate_halala + 1 WHERE job_type = 'training'")
PAUSE = text("SELECT pg_sleep(0.6)")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_probe, "_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(postgres, "GIVE_UP_AFTER_SECONDS", 1.0)
    monkeypatch.setitem(postgres._PATIENCE, "connect_timeout", 2)


@pytest.fixture
def engine_name() -> str:
    return "postgresql"


@pytest.fixture
def operator(url: str) -> Iterator[Engine]:
    """Somebody else at the same database."""
    engine = create_engine(normalised(url), isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


def do(operator: Engine, *statements: str) -> None:
    with operator.connect() as conn:
        for statement in statements:
            conn.exec_driver_sql(statement)


def everybody_else_goes(operator: Engine) -> None:
    do(
        operator,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid()",
    )


def change(conn: Connection) -> None:
    conn.execute(CHANGE)


@pytest.mark.parametrize(
    "setting",
    ["idle_session_timeout", "idle_in_transaction_session_timeout", "statement_timeout", "transaction_timeout"],
)
async def test_time_outs_of_the_operator_are_no_errors_of_ours(url: str, operator: Engine, setting: str) -> None:
    do(operator, f'ALTER DATABASE "{make_url(url).database}" SET {setting} = 200')
    db = Database.open(url)

    def work(conn: Connection) -> None:
        conn.execute(CHANGE)
        if setting == "idle_in_transaction_session_timeout":
            # Of the client, which the server waits for.
            asyncio.run(asyncio.sleep(0.6))
        else:
            conn.execute(PAUSE)
        conn.execute(CHANGE)

    try:
        if setting == "idle_session_timeout":
            # All of the pool's are gone by then.
            await asyncio.sleep(0.6)
        else:
            with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is what is asked
                await db.write(work)
            assert unwritable_reason(caught.value) in ("no_answer", "unreachable")
        # Others are not touched.
        assert await db.why_unwritable(5) is None
        await db.write(change)
    finally:
        await db.close()


async def test_a_slow_disk_has_writes_wait_and_fails_none(url: str, operator: Engine) -> None:
    # In the COMMIT itself, as a disk would.
    do(
        operator,
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.1); RETURN NULL; END $$",
        *(
            f"CREATE CONSTRAINT TRIGGER slow AFTER INSERT OR UPDATE ON {table} DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION slow()"
            for table in ("prices", "write_probes")
        ),
    )
    db = Database.open(url)
    begun = time.monotonic()
    assert await db.why_unwritable(5) is None
    assert time.monotonic() - begun > 0.1
    # All want one row.
    await asyncio.gather(*(db.write(change) for _ in range(7)))
    await db.close()


async def test_a_password_that_was_changed_and_connections_that_ran_out(url: str, operator: Engine) -> None:
    """Who has no connection any more is told 503, and goes on when there are some."""
    role = f"r{make_url(url).database}"
    do(
        operator,
        f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 4",
        f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}",
    )
    db = Database.open(make_url(url).set(username=role).render_as_string(hide_password=False), connections=2)
    try:
        await db.write(change)
        do(operator, f"ALTER ROLE {role} CONNECTION LIMIT 0")
        everybody_else_goes(operator)
        with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is what is asked
            await db.write(change)
        assert unwritable_reason(caught.value) == "unreachable"
        do(operator, f"ALTER ROLE {role} CONNECTION LIMIT 4")
        async with asyncio.timeout(10):
            # Nobody tells when it is found out.
            while await db.why_unwritable(5) is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        await db.write(change)
    finally:
        await db.close()
        do(operator, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


@pytest.mark.parametrize("engine_name", ["sqlite", "postgresql"])
def test_a_database_of_a_newer_version_is_refused_in_words(url: str) -> None:
    engine = create_engine(normalised(url))
    with engine.begin() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(UnusableDatabaseError, match="brought up to date by a newer version of dc1"):
        Database.open(url)


def test_a_database_in_another_encoding_is_refused_in_words(postgres_server: PostgresServer, url: str) -> None:
    name = make_url(url).database
    server = create_engine(normalised(url), isolation_level="AUTOCOMMIT")
    do(server, f"CREATE DATABASE {name}l ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    try:
        with pytest.raises(UnusableDatabaseError, match="is encoded in LATIN1 and must be in UTF8"):
            Database.open(make_url(url).set(database=f"{name}l").render_as_string(hide_password=False))
    finally:
        do(server, f"DROP DATABASE {name}l")
        server.dispose()


def test_a_postgresql_that_is_too_old_is_refused_in_words(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_checks, "OLDEST_VERSION", 99)
    with pytest.raises(UnusableDatabaseError, match=r"runs PostgreSQL \d+; dc1 needs 99 or newer"):
        Database.open(url)


@pytest.fixture(scope="module")
def guarded_address() -> Iterator[str]:
    """A PostgreSQL on TCP that asks for the password `right` and speaks no TLS."""
    with tempfile.TemporaryDirectory(prefix="dc1-postgres-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        port = free_port()
        node = Node(Path(directory) / "node", "listen_addresses=127.0.0.1", f"port={port}")
        node.make()
        (node.data / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\nlocal all all trust\n")
        node.start()
        try:
            with create_engine(
                f"postgresql+psycopg://{OWNER}@/postgres?host={node.directory}&port={port}", poolclass=NullPool
            ).begin() as conn:
                conn.exec_driver_sql(f"ALTER ROLE {OWNER} PASSWORD 'right'")
            yield f"127.0.0.1:{port}/postgres"
        finally:
            node.stop()


@pytest.mark.parametrize(
    ("password", "options", "words"),
    [
        ("hunter2-wrong", "", "password authentication failed"),
        ("hunter2-right", "?sslmode=require", "server does not support SSL, but SSL was required"),
    ],
)
def test_a_wrong_password_and_refused_tls_are_said_without_the_secret(
    guarded_address: str, password: str, options: str, words: str
) -> None:
    with pytest.raises(UnusableDatabaseError) as refused:
        Database.open(f"postgresql://{OWNER}:{password}@{guarded_address}{options}")
    assert words in str(refused.value)
    assert "hunter2" not in str(refused.value)
    # It is no server that is still starting, for which one would wait.
    assert not isinstance(refused.value, UnreachableDatabaseError)
