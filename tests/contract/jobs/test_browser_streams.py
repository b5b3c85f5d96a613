"""What a browser does after the end of a job's stream (contract 6.1)."""

import shutil
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from dc1.testing.edge import Edge
from dc1.testing.people import Renter
from dc1.testing.poll_daemon import PollDaemon
from tests.support.browser import Browser

# Over two of the pauses that a stream asks for, from when the page came.
_WATCHED_SECONDS = 6.5
# A page that knows nothing of `end`, as most are written; it has not loaded before its image has.
_PAGE = """<!doctype html><title>A job</title><ul id="seen"></ul><img src="/wait"><script>
const say = text => { document.getElementById("seen").innerHTML += "<li>" + text + "</li>"; };
for (const path of ["logs/stream", "stream", "lifecycle/stream"]) {
  const source = new EventSource("/jobs/1/" + path + "?key=KEY");
  source.onmessage = event => say(path + " line " + event.lastEventId);
  source.onerror = () => say(path + " state " + source.readyState);
}
</script>"""


class Site:
    """A renter's page, and the marketplace behind the same origin."""

    def __init__(self, market_url: str, key: str) -> None:
        asked: list[tuple[str, str | None, int]] = []

        class Handler(BaseHTTPRequestHandler):
            page: ClassVar[bytes] = _PAGE.replace("KEY", key).encode()

            def do_GET(self) -> None:
                if self.path == "/":
                    self.answer(200, "text/html", self.page)
                elif self.path == "/wait":
                    time.sleep(_WATCHED_SECONDS)
                    self.answer(404, "text/plain", b"")
                elif self.path.startswith("/jobs/"):
                    last_id = self.headers.get("last-event-id")
                    headers = {} if last_id is None else {"last-event-id": last_id}
                    found = httpx.get(market_url + self.path, headers=headers, trust_env=False)
                    asked.append((self.path.partition("?")[0].removeprefix("/jobs/1/"), last_id, found.status_code))
                    self.answer(found.status_code, found.headers.get("content-type", ""), found.content)
                else:
                    self.answer(404, "text/plain", b"")

            def answer(self, status: int, media_type: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("content-type", media_type)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.asked = asked
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"


@pytest.fixture
def site(edge: Edge, renter: Renter) -> Iterator[Site]:
    site = Site(edge.url, renter.key)
    serving = threading.Thread(target=site.server.serve_forever)
    serving.start()
    yield site
    site.server.shutdown()
    serving.join()
    site.server.server_close()


def test_a_browser_comes_back_once_after_the_end_of_a_stream(
    renter: Renter, provider: PollDaemon, site: Site, tmp_path: Path
) -> None:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no browser to test with: the package chromium is not installed")
    renter.submit()
    provider.next()
    provider.logs(1, ["one", "two"])
    provider.result(1)

    html = Browser(program, tmp_path / "profile").visit(site.url).html

    for path in ("logs/stream", "stream", "lifecycle/stream"):
        calls = [(last_id, status) for name, last_id, status in site.asked if name == path]
        assert [status for _, status in calls] == [200, 204]
        assert calls[0][0] is None
        assert calls[1][0] is not None
        # 0 while it waits to come back, 2 once it never will.
        assert f"<li>{path} state 2</li>" in html
    assert html.count("<li>logs/stream line 1</li>") == html.count("<li>logs/stream line 2</li>") == 1
