"""Like failures have few lines."""

from dc1.server.watching.failure_log import MOST_LINES, WINDOW_SECONDS, FailureLog


def test_an_outage_has_few_lines_and_says_how_many_there_are_not() -> None:
    now = 0.0
    failures = FailureLog(lambda: now)
    written = [failures.left_out("SubmitJob", "disk_full") for _ in range(1000)]
    assert [count for count in written if count is not None] == [0] * MOST_LINES
    assert failures.left_out("SubmitJob", "locked") == 0
    now += WINDOW_SECONDS
    assert failures.left_out("SubmitJob", "disk_full") == 1000 - MOST_LINES
