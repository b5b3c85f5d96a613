"""Every form of an address leads to the database, on the pool's connections and on the one that listens."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import URL

from dc1.storage.cluster.change_feed import Notifications
from dc1.storage.engine.database import Database, UnusableDatabaseError, normalised, normalised_standby
from dc1.storage.engine.postgres import connect_beside_the_pool
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


ODD = "p%40 a@b:c/d#e?f&g=h'i\\j%k ://سر"
"""Every character that means something in an address or a list of parameters."""


def by_parameters(**given: str) -> str:
    quoted = {name: value.replace("\\", "\\\\").replace("'", "\\'") for name, value in given.items()}
    return " ".join(f"{name}='{value}'" for name, value in quoted.items())


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://u:{quote(ODD, safe='')}@h/db",
        f"postgresql://u@h/db?password={quote(ODD, safe='')}",
        f"postgresql://u:{quote(ODD, safe='')}@h1,h2:5433/db",
        f"postgresql://u:{quote(ODD, safe='')}@/db?host=h1&host=h2",
        f"postgresql://u@/db?host=h1&host=h2&password={quote(ODD, safe='')}",
        by_parameters(password=ODD, user="u", host="h", dbname="db"),
        by_parameters(password=f"?host=a&host={ODD}", service="dc1"),
    ],
)
@pytest.mark.parametrize("read", [normalised, normalised_standby])
def test_a_password_of_any_characters_arrives_and_is_shown_nowhere(text: str, read: Callable[[str], URL]) -> None:
    url = read(text)
    assert str(connect_arguments(url)["password"]).endswith(ODD)
    assert "سر" not in repr(url) + str(url) + url.render_as_string()


async def test_names_of_any_characters_and_a_service_lead_to_the_database(
    postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = ODD.replace("'", "")
    plain = normalised(postgres_server.create())
    host = str(plain.query["host"])
    with connect_beside_the_pool(plain) as operator:
        operator.execute(f'CREATE ROLE "{odd}" SUPERUSER LOGIN'.encode())
    postgres_server.create(odd)
    services = tmp_path / "services"
    services.write_text(f"[dc1]\nhost={host}\nuser={plain.username}\ndbname={plain.database}\n")
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    options = quote("-c application_name=dc1=x", safe="")
    addresses = {
        f"postgresql://{quote(odd, safe='')}@/{quote(odd, safe='')}?host={quote(host, safe='')}&options={options}": odd,
        by_parameters(user=odd, dbname=odd, host=host): odd,
        "service=dc1": plain.database,
        "postgresql://?service=dc1": plain.database,
    }
    try:
        for text, name in addresses.items():
            database = Database.open(text, direct_url=text, connections=1)
            found = await database.read(lambda conn: conn.exec_driver_sql("SELECT current_database()").scalar_one())
            await database.close()
            assert found == name
    finally:
        postgres_server.drop(odd)
        with connect_beside_the_pool(plain) as operator:
            operator.execute(f'DROP ROLE "{odd}"'.encode())


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u:p@ssw0rd@h/db",
        "postgresql://u:pa/ssw0rd@h/db",
        "postgresql://u:ssw0rd@h:port/db",
        "postgresql://u:%ssw0rd@h/db",
        "host=h port=ssw0rd",
        "postgresql://u:1:ssw0rd@h:ssw0rd/db?host=a&host=b",
    ],
)
def test_an_address_that_cannot_be_read_shows_nothing_of_its_password(text: str) -> None:
    with pytest.raises(UnusableDatabaseError) as refusal:
        Database.open(text)
    assert "ssw0rd" not in str(refusal.value)


def test_hosts_and_ports_belong_together_as_libpq_has_it() -> None:
    found = connect_arguments(normalised("postgresql://u:p%40ss@h1,h2:5433/db?target_session_attrs=read-write"))
    assert (found["host"], found["port"], found["password"]) == ("h1,h2", ",5433", "p@ss")
    assert connect_arguments(normalised("host=h1,h2 port=7"))["port"] == "7,7"
