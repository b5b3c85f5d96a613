"""What log lines look like, in a process of their own."""

import json
import subprocess
import sys

import pytest

_SCRIPT = """
import logging
import structlog
from dc1.server.logs import configure_logging

configure_logging({log_format!r}, "INFO")

def fail(key):
    raise ValueError("told")

log = structlog.get_logger()
log.info("call", status=200)
log.debug("unseen")
logging.getLogger("library").warning("from %s", "elsewhere")
class Odd:
    def __repr__(self):
        raise RuntimeError("no words for it")

log.info("odd", value=Odd())
try:
    fail("dc1-renter-secret")
except ValueError as error:
    log.error("failed", exc_info=error)
"""


def lines(log_format: str) -> list[str]:
    script = _SCRIPT.format(log_format=log_format)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not done.stdout
    return done.stderr.splitlines()


def test_json_lines_hold_our_events_and_those_of_libraries() -> None:
    *told, odd, traceback = lines("json")
    call, library, failed = (json.loads(line) for line in (*told, traceback))
    assert odd == "info: 'odd' cannot be rendered: RuntimeError"
    assert (call["event"], call["status"], call["level"]) == ("call", 200, "info")
    assert (library["event"], library["logger"]) == ("from elsewhere", "library")
    assert "ValueError: told" in failed["exception"]


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_tracebacks_do_not_show_local_variables(log_format: str) -> None:
    text = "\n".join(lines(log_format))
    assert "ValueError: told" in text
    assert "key = " not in text
    assert "secret" not in text.replace('fail("dc1-renter-secret")', "")
