"""Every form of an address leads to the database, on the pool's connections and on the one that listens."""

import asyncio

import pytest

from dc1.storage.cluster.change_feed import Notifications
from dc1.storage.engine.database import Database, UnusableDatabaseError, normalised
from dc1.storage.engine.postgres_address import connect_arguments
from dc1.testing.postgres import PostgresServer


@pytest.mark.parametrize(
    "form",
    [
        "postgresql://{user}@/{name}?host={host}",
        "postgresql://{user}@127.0.0.1:1,{escaped}:5432/{name}?target_session_attrs=read-write",
        "postgresql://{user}@/{name}?host=127.0.0.1:1&host={host}:5432&target_session_attrs=read-write",
        "host=127.0.0.1,{host} port=1,5432 user={user} dbname={name} target_session_attrs=read-write",
        "postgres://{user}@/{name}?host=127.0.0.1,{host}&port=1,5432",
    ],
)
async def test_a_form_of_libpq_works_on_every_connection(postgres_server: PostgresServer, form: str) -> None:
    url = normalised(postgres_server.create())
    host = str(url.query["host"])
    text = form.format(user=url.username, name=url.database, host=host, escaped=host.replace("/", "%2F"))
    database = Database.open(text, connections=1)
    heard: asyncio.Queue[object] = asyncio.Queue()
    first, second = Notifications(database.url, "first"), Notifications(database.url, "second")
    await second.subscribe()
    listening = asyncio.create_task(second.listen(heard.put_nowait))
    try:
        await asyncio.wait_for(heard.get(), 10)
        await first.send()
        await asyncio.wait_for(heard.get(), 10)
    finally:
        listening.cancel()
        await first.close()
        await second.close()
        await database.close()


@pytest.mark.parametrize(
    "text", ["postgresql://u:p@ssw0rd@h/db", "postgresql://u:pa/ssw0rd@h/db", "postgresql://u:ssw0rd@h:port/db"]
)
def test_an_address_that_cannot_be_read_shows_nothing_of_its_password(text: str) -> None:
    with pytest.raises(UnusableDatabaseError) as refusal:
        Database.open(text)
    assert "ssw0rd" not in str(refusal.value)


def test_hosts_and_ports_belong_together_as_libpq_has_it() -> None:
    found = connect_arguments(normalised("postgresql://u:p%40ss@h1,h2:5433/db?target_session_attrs=read-write"))
    assert (found["host"], found["port"], found["password"]) == ("h1,h2", ",5433", "p@ss")
    assert connect_arguments(normalised("host=h1,h2 port=7"))["port"] == "7,7"
