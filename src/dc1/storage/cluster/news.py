"""What servers tell each other of jobs: which to look at, and of which a server wants to be told."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from dc1.domain.base.json_types import MAX_EXACT_INTEGER

MOST_IDS = 500
"""Ids in one piece of news, all lists of it together: ten digits each fit a notification of 8,000 bytes."""


@dataclass(frozen=True, slots=True)
class Wants:
    """Of what a server wants to be told, in place of what it wanted before.

    `rows` are jobs that somebody reads there, `renters` and `accounts` those of whom somebody watches all jobs,
    `everybody` says that somebody watches all there are, and `room` that calls wait there for a machine. `queues` says
    that jobs began to wait there lately of which nobody was told who had no room for them.
    """

    rows: tuple[int, ...] = ()
    renters: tuple[int, ...] = ()
    accounts: tuple[int, ...] = ()
    everybody: bool = False
    room: bool = False
    queues: bool = False


@dataclass(frozen=True, slots=True)
class News:
    """What one server tells the others, or one of them.

    `look` says that something else than jobs has changed, which is to be read. `jobs` moved, of `lines` there are more
    lines of log, and those of `watch` are read at the teller from now on. `gone` are jobs that wait no more, each with
    the version of it that says so.
    """

    replica: str
    look: bool = False
    jobs: tuple[int, ...] = ()
    lines: tuple[int, ...] = ()
    watch: tuple[int, ...] = ()
    wants: Wants | None = None
    gone: tuple[tuple[int, int], ...] = ()

    def to_tell(self) -> dict[str, Any]:
        """Return it as JSON, without what it says nothing of."""
        said = {name: list(ids) for name in ("jobs", "lines", "watch") if (ids := getattr(self, name))}
        wanted = {} if self.wants is None else {"wants": _to_tell(self.wants)}
        gone = {"gone": [list(each) for each in self.gone]} if self.gone else {}
        return {"look": self.look, **said, **wanted, **gone}

    @classmethod
    def read(cls, replica: str, told: object) -> Self | None:
        """Return what was told, None where that makes no sense."""
        if not isinstance(told, dict):
            return None
        ids = [_ids(told.get(name)) for name in ("jobs", "lines", "watch")]
        jobs, lines, watch = ids
        gone = _pairs(told.get("gone"))
        if jobs is None or lines is None or watch is None or gone is None:
            return None
        return cls(replica, told.get("look") is not False, jobs, lines, watch, _wants(told.get("wants")), gone)


def _to_tell(wants: Wants) -> dict[str, Any]:
    return {
        field.name: list(value) if isinstance(value, tuple) else value
        for field in fields(wants)
        if (value := getattr(wants, field.name))
    }


def _wants(told: object) -> Wants | None:
    if not isinstance(told, Mapping):
        return None
    rows, renters, accounts = (_ids(told.get(name)) for name in ("rows", "renters", "accounts"))
    if rows is None or renters is None or accounts is None:
        return None
    has = [told.get(name) is True for name in ("everybody", "room", "queues")]
    return Wants(rows, renters, accounts, *has)


def _ids(told: object) -> tuple[int, ...] | None:
    if told is None:
        return ()
    if not isinstance(told, Collection) or isinstance(told, str):
        return None
    found = tuple(each for each in told if type(each) is int and 0 <= each < MAX_EXACT_INTEGER)
    return found if len(found) == len(told) else None


def _pairs(told: object) -> tuple[tuple[int, int], ...] | None:
    if told is None:
        return ()
    pairs = [_ids(each) for each in told] if isinstance(told, list) else [None]
    found = tuple((each[0], each[1]) for each in pairs if each is not None and len(each) == 2)
    return found if len(found) == len(pairs) else None
