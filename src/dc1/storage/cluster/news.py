"""What servers tell each other of jobs: which to look at, and of which a server wants to be told."""

from collections.abc import Collection, Mapping
from dataclasses import astuple, dataclass, fields
from math import isfinite
from typing import Any, Self

from dc1.domain.base.json_types import MAX_EXACT_INTEGER
from dc1.domain.inference.usage import RunSaid
from dc1.storage.engine.followed import Outbox

MOST_IDS = 500
"""Ids in one piece of news, all lists of it together: ten digits each fit a notification of 8,000 bytes."""

_LISTS = ("jobs", "lines", "watch", "asks")


@dataclass(frozen=True, slots=True)
class Wants:
    """Of what a server wants to be told, in place of what it wanted before.

    `rows` are jobs that somebody reads there, `renters` and `accounts` those of whom somebody watches all jobs,
    `everybody` says that somebody watches all there are, and `room` that calls wait there for a machine. `queues` says
    that jobs began to wait there lately of which nobody was told who had no room for them. `more` jobs are read there
    than `rows` has room for.
    """

    rows: tuple[int, ...] = ()
    renters: tuple[int, ...] = ()
    accounts: tuple[int, ...] = ()
    everybody: bool = False
    room: bool = False
    queues: bool = False
    more: bool = False


@dataclass(frozen=True, slots=True)
class ToldSpeed:
    """How fast an engine answered its last calls: medians of milliseconds to the first token and of tokens a second."""

    provider_id: int
    model: str
    ttft_ms: float | None
    tokens_per_second: float | None
    calls: int

    @classmethod
    def read(cls, told: object) -> Self | None:
        """Return what was told, None where that makes no sense."""
        if not isinstance(told, list) or len(told) != len(fields(cls)):
            return None
        provider_id, model, ttft_ms, rate, calls = told
        are_medians = all(each is None or (type(each) in (int, float) and isfinite(each)) for each in (ttft_ms, rate))
        if _ids([provider_id, calls]) is None or not isinstance(model, str) or not are_medians:
            return None
        return cls(provider_id, model, ttft_ms, rate, calls)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was asked for by a question of that number: of each of its runs that is known what it has said."""

    number: int
    said: tuple[RunSaid, ...] = ()


@dataclass(frozen=True, slots=True)
class News:
    """What one server tells the others, or one of them.

    `look` says that something else than jobs has changed, which is to be read. `jobs` moved, of `lines` there are more
    lines of log, and those of `watch` are read at the teller from now on. `gone` are jobs that wait no more, each with
    the version of it that says so. `asks` is the number of a question and the jobs of which it wants to know what they
    have said, and `answer` is what was asked for. `speeds` are those of engines that answered calls at the teller.
    In the outboxes `filled` more waits than the teller sends at once.
    """

    replica: str
    look: bool = False
    jobs: tuple[int, ...] = ()
    lines: tuple[int, ...] = ()
    watch: tuple[int, ...] = ()
    wants: Wants | None = None
    gone: tuple[tuple[int, int], ...] = ()
    asks: tuple[int, ...] = ()
    answer: Answer | None = None
    speeds: tuple[ToldSpeed, ...] = ()
    filled: tuple[Outbox, ...] = ()

    def to_tell(self) -> dict[str, Any]:
        """Return it as JSON, without what it says nothing of."""
        said = {name: list(ids) for name in _LISTS if (ids := getattr(self, name))}
        wanted = {} if self.wants is None else {"wants": _to_tell(self.wants)}
        gone = {"gone": [list(each) for each in self.gone]} if self.gone else {}
        more: dict[str, Any] = {}
        if self.answer is not None:
            more["answer"] = [self.answer.number, *(list(astuple(each)) for each in self.answer.said)]
        if self.speeds:
            more["speeds"] = [list(astuple(each)) for each in self.speeds]
        if self.filled:
            more["filled"] = [*self.filled]
        return {"look": self.look, **said, **wanted, **gone, **more}

    @classmethod
    def read(cls, replica: str, told: object) -> Self | None:
        """Return what was told, None where that makes no sense."""
        if not isinstance(told, dict):
            return None
        jobs, lines, watch, asks = (_ids(told.get(name)) for name in _LISTS)
        gone = _pairs(told.get("gone"))
        if jobs is None or lines is None or watch is None or asks is None or gone is None:
            return None
        wants, answer = _wants(told.get("wants")), _answer(told.get("answer"))
        speeds = told["speeds"] if isinstance(told.get("speeds"), list) else []
        told_speeds = tuple(each for each in map(ToldSpeed.read, speeds) if each is not None)
        # A server of a later version may have outboxes that are not known here.
        filled = (
            tuple(each for each in Outbox if each in told["filled"]) if isinstance(told.get("filled"), list) else ()
        )
        look = told.get("look") is not False
        return cls(replica, look, jobs, lines, watch, wants, gone, asks, answer, told_speeds, filled)


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
    has = [told.get(name) is True for name in ("everybody", "room", "queues", "more")]
    return Wants(rows, renters, accounts, *has)


def _answer(told: object) -> Answer | None:
    if not isinstance(told, list) or not told or _ids(told[:1]) is None:
        return None
    counts = [_ids(each) for each in told[1:]]
    found = tuple(RunSaid(*each) for each in counts if each is not None and len(each) == len(fields(RunSaid)))
    return Answer(told[0], found) if len(found) == len(counts) else None


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
