"""What one server gathers to tell others goes with them, when they do."""

from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dc1.control.cluster import telling as telling_module
from dc1.control.cluster.telling import Telling
from dc1.control.config import ControlConfig
from dc1.control.scheduling.core import Core
from dc1.control.scheduling.job_feed import StateChanged
from dc1.domain.base.clock import SystemClock
from dc1.domain.jobs.states import JobSource, JobStatus
from dc1.storage.cluster.news import News, Wants
from dc1.storage.engine.followed import Outbox

ROW = 7


def test_that_calls_wait_is_said_once_for_all_that_do() -> None:
    core = Core.empty(cast(Any, None), SystemClock(), ControlConfig())
    telling = Telling(core, "a", lambda: {"b"}, lambda: None)
    assert [news.wants for _, news in telling.take()] == [Wants()]
    telling.waits_for_room = lambda: True
    said = []
    for _ in range(3):
        telling.want_room()
        said += [news.wants for _, news in telling.take()]
    assert said == [Wants(room=True)]


def test_what_one_server_has_too_much_to_send_another_one_looks_for() -> None:
    core, there = (Core.empty(cast(Any, None), SystemClock(), ControlConfig()) for _ in range(2))
    telling, hearing = Telling(core, "a", lambda: {"b"}, lambda: None), Telling(there, "b", lambda: {"a"}, lambda: None)
    looked: list[str] = []
    for outbox in Outbox:
        there.outboxes.open(outbox, filled=lambda: None, look=partial(looked.append, outbox.value))
    telling.take()
    # Nobody sends anything at the first one.
    core.outboxes.filled(Outbox.WEBHOOKS)
    core.outboxes.filled(Outbox.WEBHOOKS)
    ((whom, news),) = telling.take()
    assert (whom, news.look, telling.take()) == (None, False, [])
    told = News.read("a", news.to_tell())
    assert told == news
    hearing.heard(told)
    assert looked == ["webhooks"]
    # It is told to those who send and may be full as well, not to whoever hears of it.
    assert all(not news.filled for _, news in hearing.take())


def test_what_was_for_a_server_that_is_gone_is_forgotten() -> None:
    core = Core.empty(cast(Any, None), SystemClock(), ControlConfig())
    others = {"b", "c"}
    telling = Telling(core, "a", lambda: others, lambda: None)
    for name in sorted(others):
        telling.heard(News(name, wants=Wants(rows=(ROW,))))
    core.job_feed.publish(ROW, StateChanged())
    others.remove("b")
    assert [(name, news.jobs) for name, news in telling.take() if news.jobs] == [("c", (ROW,))]
    core.job_feed.publish(ROW, StateChanged())
    others.clear()
    telling.take()
    core.job_feed.publish(ROW, StateChanged())
    assert not telling, "nobody is left to be told"


def test_that_a_job_moved_is_told_once_its_text_has_left() -> None:
    core = Core.empty(cast(Any, None), SystemClock(), ControlConfig())
    telling = Telling(core, "a", lambda: {"b"}, lambda: None)
    telling.heard(News("b", wants=Wants(rows=(ROW, ROW + 1))))
    waiting = {ROW}
    telling.has_text = waiting.__contains__
    for row_id in (ROW, ROW + 1):
        core.job_feed.publish(row_id, StateChanged())
    assert [news.jobs for _, news in telling.take() if news.jobs] == [(ROW + 1,)]
    assert telling, "the rest is still to be told"
    waiting.clear()
    assert [news.jobs for _, news in telling.take()] == [(ROW,)]


def a_job(status: JobStatus, sequence: int = 1, source: JobSource = JobSource.API) -> Any:
    """As much of a job's row as telling of it takes."""
    is_terminal = status not in (JobStatus.QUEUED, JobStatus.PENDING, JobStatus.RUNNING)
    return SimpleNamespace(
        id=ROW,
        source=source,
        status=status,
        provider_id=None,
        is_terminal=is_terminal,
        event_sequence=sequence,
        requirement=None,
    )


@pytest.fixture
def among_three(monkeypatch: pytest.MonkeyPatch) -> Telling:
    """What a tells, to b who serves a machine that has room, and to c who serves none."""
    core = Core.empty(cast(Any, None), SystemClock(), ControlConfig())
    monkeypatch.setattr(core.fleet.availability.remote, "fitting", lambda requirement: iter([5]))
    monkeypatch.setattr(core.fleet, "known", lambda provider_id: SimpleNamespace(stream_replica="b"))
    telling = Telling(core, "a", lambda: {"b", "c"}, lambda: None)
    for name in ("b", "c"):
        telling.heard(News(name, wants=Wants()))
    telling.take()
    return telling


def test_that_a_job_waits_is_told_to_who_has_room_for_it(among_three: Telling) -> None:
    among_three.moved(a_job(JobStatus.QUEUED), None, waited=False)
    told = among_three.take()
    assert [(name, news.jobs) for name, news in told if news.jobs] == [("b", (ROW,))]
    # Who gets a machine free meanwhile has to know that there is something to look for.
    assert [(name, news.wants) for name, news in told if news.wants] == [(None, Wants(queues=True))]
    among_three.moved(a_job(JobStatus.QUEUED, 2), None, waited=True)
    assert not any(news.wants for _, news in among_three.take()), "it is said once in a while"


def test_that_a_job_waits_no_more_is_told_to_all_by_its_version(
    among_three: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    among_three.moved(a_job(JobStatus.PENDING, 2), None, waited=True)
    assert not among_three, "it is in no hurry"
    assert [(name, news.gone, news.jobs) for name, news in among_three.take()] == [(None, ((ROW, 2),), ())]
    among_three.moved(a_job(JobStatus.CANCELLED, 4), None, waited=True)
    assert among_three.take() == [], "of many moves in a moment all are told together"
    monkeypatch.setattr(telling_module, "_GONE_SECONDS", 0)
    assert [news.gone for _, news in among_three.take()] == [((ROW, 4),)]


@pytest.mark.parametrize("source", [JobSource.API, JobSource.V1])
def test_a_job_that_goes_where_nobody_waits_is_told_to_nobody(among_three: Telling, source: JobSource) -> None:
    among_three.moved(a_job(JobStatus.PENDING, source=source), None, waited=False)
    among_three.moved(a_job(JobStatus.COMPLETED, 3, source), None, waited=False)
    assert among_three.take() == []
    assert not among_three.has_gone


def test_who_looks_for_jobs_is_who_was_told_that_some_wait(among_three: Telling) -> None:
    assert not among_three.may_wait_elsewhere()
    among_three.heard(News("b", wants=Wants(queues=True)))
    assert among_three.may_wait_elsewhere()
    among_three.heard(News("b", wants=Wants()))
    assert not among_three.may_wait_elsewhere()


def test_what_a_run_says_is_for_its_readers_alone(among_three: Telling, monkeypatch: pytest.MonkeyPatch) -> None:
    job = a_job(JobStatus.RUNNING, source=JobSource.V1)
    lease = SimpleNamespace(assignment=SimpleNamespace(job=job), has_caller=False)
    monkeypatch.setattr(among_three._leases, "of_job", lambda row_id: lease if row_id == ROW else None)
    # A call's caller is at another server, which has not said yet that it reads.
    assert set(among_three.readers(ROW)) == {None}
    assert set(among_three.readers(ROW + 1)) == set()
    among_three.heard(News("c", wants=Wants(more=True)))
    assert set(among_three.readers(ROW)) == {"b", "c"}, "who reads more than it could name may not be the caller's"
    assert set(among_three.readers(ROW + 1)) == {"c"}
    among_three.heard(News("c", wants=Wants()))
    monkeypatch.setattr(among_three._job_feed, "has_caller", lambda row_id: True)
    assert set(among_three.readers(ROW)) == set()
    among_three.heard(News("b", wants=Wants(rows=(ROW,))))
    assert set(among_three.readers(ROW)) == {"b"}
    among_three.heard(News("c", wants=Wants(more=True)))
    assert set(among_three.readers(ROW)) == {"b", "c"}, "more is read there than it could name"
