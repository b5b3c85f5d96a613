"""Channels of notifications, from the command line, with the key of each role."""

import json

import pytest

from tests.cli.conftest import Run
from tests.cli.scripted_server import Reply, ScriptedServer

CHANNEL = {
    "id": 4,
    "kind": "email",
    "hint": "me@example.sa",
    "events": ["job.failed"],
    "language": "ar",
    "created_at": "2026-03-22T19:00:05.000Z",
    "last_sent_at": None,
    "last_error": "No answer within 15 s",
}


@pytest.mark.parametrize(
    ("role", "flag", "header"),
    [
        ("renter", "--key", "x-renter-key"),
        ("provider", "--key", "x-provider-key"),
        ("admin", "--token", "x-admin-token"),
    ],
)
def test_each_role_keeps_its_channels(server: ScriptedServer, run: Run, role: str, flag: str, header: str) -> None:
    server.on("POST /notifications", Reply({"channel": CHANNEL}, 201))
    server.on("GET /notifications", Reply({"channels": [CHANNEL], "events": ["job.failed"]}))
    server.on("POST /notifications/4/test", Reply({"success": True}))
    server.on("POST /notifications/4/confirm", Reply({"success": True}))
    server.on("DELETE /notifications/4", Reply({"success": True}))
    group, secret = (role, "notifications"), (flag, "the-secret")
    added = run(*group, "add", "email", "me@example.sa", "--event", "job.failed", "--language", "ar", *secret)
    assert "me@example.sa" in added.stdout
    assert "No answer within 15 s" in run(*group, "list", *secret).stdout
    assert json.loads(run(*group, "test", "4", "--json", *secret).stdout) == {"success": True}
    assert "confirmed" in run(*group, "confirm", "4", "01234567", *secret).stdout
    # A code is text: its first digit may be 0.
    assert server.requests[-1].body == {"code": "01234567"}
    assert "removed" in run(*group, "remove", "4", *secret).stdout
    assert all(request.headers[header] == "the-secret" for request in server.requests)
    sent = {"kind": "email", "target": "me@example.sa", "events": ["job.failed"], "language": "ar"}
    assert server.requests[0].body == sent
