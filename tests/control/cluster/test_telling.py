"""What one server gathers to tell others goes with them, when they do."""

from typing import Any, cast

from dc1.control.cluster.telling import Telling
from dc1.control.config import ControlConfig
from dc1.control.scheduling.core import Core
from dc1.control.scheduling.job_feed import StateChanged
from dc1.domain.base.clock import SystemClock
from dc1.storage.cluster.news import News, Wants

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
