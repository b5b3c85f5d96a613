"""The console's reader of server-sent events, on a job's log that is written meanwhile."""

from dc1.testing.market import LocalMarket
from tests.console.visitor import Visitors

# Kept where the test can look while the stream goes on.
_FOLLOW = """async (id) => {
  const base = document.querySelector("script[type=module]").src.replace("main.js", "");
  const { follow } = await import(base + "runtime/events.js");
  window.heard = [];
  const signal = new AbortController().signal;
  follow("GET /jobs/{job_id}/logs/stream", { path: { job_id: id }, signal },
    (event, name) => window.heard.push([name, event.line ?? event.status])).then(() => window.heard.push("done"));
}"""


def test_a_log_is_followed_to_its_end(town: LocalMarket, visitors: Visitors) -> None:
    daemon, renter = town.add_provider(), town.add_renter()
    job = renter.submit()
    town.next_job(daemon)
    with visitors.one() as visitor:
        page = visitor.sign_in(renter.key)
        page.evaluate(_FOLLOW, job["id"])
        daemon.logs(job["id"], ["one", "<b>two</b>"])
        daemon.result(job["id"])
        deadline = 200
        while "done" not in page.evaluate("window.heard") and deadline:
            page.wait_for_timeout(50)
            deadline -= 1
        heard = page.evaluate("window.heard")
    said = [event[1] for event in heard if event != "done"]
    assert [text for text in said if text in ("one", "<b>two</b>")] == ["one", "<b>two</b>"]
    assert heard[-1] == "done"


_FORGET = """async () => {
  const base = document.querySelector("script[type=module]").src.replace("main.js", "");
  const { forget } = await import(base + "runtime/live.js");
  const known = new Map([1, 2, 3, 4, 5].map((id) => [id, { ended_at: id === 2 ? null : "then" }]));
  forget(known, 5);
  const before = known.size;
  forget(known, 4);
  return [before, [...known.keys()]];
}"""


def test_jobs_that_ended_are_forgotten_where_there_are_many(visitors: Visitors) -> None:
    with visitors.one() as visitor:
        assert visitor.open("/").evaluate(_FORGET) == [5, [2, 5]]
