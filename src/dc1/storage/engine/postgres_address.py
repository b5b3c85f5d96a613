"""Addresses of PostgreSQL, in every form that libpq takes."""

import re
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

_DRIVER = "postgresql+psycopg"
_SCHEME = re.compile(r"^postgres(ql)?(\+\w+)?://")
# The name of the first parameter: what follows may have anything in it, a password with :// as well.
_PARAMETERS = re.compile(r"^\s*\w+\s*=")
# SQLAlchemy's own form of several hosts, of which libpq would take the last.
_REPEATED_HOST = re.compile(r"[?&]host=.*&host=")
_UNREADABLE = (
    "the address of PostgreSQL cannot be read; in a password @ is written as %40, / as %2F, : as %3A, % as %25"
)


def is_postgres(text: str) -> bool:
    """Tell whether this is an address of PostgreSQL: a URL, or libpq's `host=… dbname=…`."""
    return bool(_SCHEME.match(text) or _PARAMETERS.match(text))


def read_address(text: str, *, of_standbys: bool = False) -> URL:
    """Return an address as a URL whose connections go where libpq would go.

    Of several hosts to the one that takes writes, or to one that follows it, unless the address says what to ask for.

    Raises:
        ValueError: it cannot be read; the text shows nothing of it, as a password may stand anywhere in it.
    """
    if _SCHEME.match(text) and _REPEATED_HOST.search(text):
        return _to_one_of_several(_with_repeated_host(text), of_standbys)
    try:
        given = {name: str(value) for name, value in conninfo_to_dict(_SCHEME.sub("postgresql://", text)).items()}
    except psycopg.Error:
        given = {"host": "@"}
    if "@" in given.get("host", ""):
        raise ValueError(_UNREADABLE)
    names = {"user": "username", "password": "password", "dbname": "database"}
    parts: dict[str, Any] = {name: given.pop(key) for key, name in names.items() if key in given}
    return _to_one_of_several(URL.create(_DRIVER, **parts, **dict(_place(given)), query=given), of_standbys)


def connect_arguments(url: URL) -> dict[str, Any]:
    """Return what psycopg connects with: the same that the pool's connections come about by."""
    arguments = url.get_dialect()().create_connect_args(url)[1]
    return {name: value for name, value in arguments.items() if name != "context"}


def _with_repeated_host(text: str) -> URL:
    try:
        url = make_url(text).set(drivername=_DRIVER)
    except (ArgumentError, ValueError):
        raise ValueError(_UNREADABLE) from None
    # Where every message hides it.
    password = url.query.get("password", url.password)
    return url.difference_update_query(["password"]).set(password=password if isinstance(password, str) else None)


def _to_one_of_several(url: URL, of_standbys: bool) -> URL:
    # A host alone is taken as it is: a standby that is all there is still answers reads.
    hosts = url.query.get("host", ())
    several = len(hosts) > 1 if isinstance(hosts, tuple) else "," in hosts
    if not several or "target_session_attrs" in url.query:
        return url
    return url.update_query_dict({"target_session_attrs": "prefer-standby" if of_standbys else "read-write"})


def _place(given: dict[str, str]) -> Iterator[tuple[str, Any]]:
    """Take host and port out of `given` when there is one of each; several stay, as a URL has no room for them."""
    host, port = given.get("host", ""), given.get("port", "")
    count = len(host.split(","))
    if count > 1 and port and "," not in port:
        given["port"] = ",".join([port] * count)
    if count == 1 and not host.startswith("/"):
        if given.pop("host", ""):
            yield "host", host
        if given.pop("port", ""):
            if not port.isdecimal():
                raise ValueError(_UNREADABLE)
            yield "port", int(port)
