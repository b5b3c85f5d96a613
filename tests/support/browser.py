"""A real browser without a window, which can reach nothing but this machine."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)
_PATIENCE_SECONDS = 120
_NO_PAGE = "not an origin"


@dataclass(frozen=True)
class Visit:
    """What a page became, and every address that it asked for."""

    html: str
    requested: list[str]


class Browser:
    """Chromium with a profile of its own."""

    def __init__(self, program: str, profile: Path) -> None:
        self._program = program
        self._profile = profile

    def visit(self, url: str) -> Visit:
        """Load a page to its end."""
        log = self._profile / "network.json"
        command = [
            self._program,
            *_FLAGS,
            f"--user-data-dir={self._profile}",
            f"--log-net-log={log}",
            "--dump-dom",
            url,
        ]
        ended = subprocess.run(command, capture_output=True, timeout=_PATIENCE_SECONDS, check=True)
        return Visit(ended.stdout.decode(), _requested_by_page(json.loads(log.read_text())))


def _requested_by_page(log: dict[str, Any]) -> list[str]:
    started = log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    asked = [event["params"] for event in log["events"] if event["type"] == started and "params" in event]
    # What the browser wants for itself, the page included, is wanted by no page.
    return [params["url"] for params in asked if params.get("initiator", _NO_PAGE) != _NO_PAGE]
