import json
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.cli.scripted_server import Reply, ScriptedServer

DIGEST = "sha256:" + "0123456789abcdef" * 4
PINNED: dict[str, Any] = {
    "id": 2,
    "image_ref": f"docker.io/library/python:3.11@{DIGEST}",
    "image_type": "python",
    "description": "",
    "approved_at": "2026-03-22T19:00:10.000Z",
    "pinned": True,
}
BY_TAG = {**PINNED, "id": 1, "image_ref": "docker.io/library/busybox:1.36\x1b[2J", "pinned": False}
APPROVE = "POST /admin/containers/approve-image"


def test_the_list_says_which_have_no_digest(server: ScriptedServer, run: Run) -> None:
    server.on("GET /containers/registry", Reply({"images": [], "details": [BY_TAG, PINNED], "total": 2}))
    result = run("admin", "images")
    assert result.exit_code == 0
    assert "2 images, 1 without a digest" in result.stdout
    assert PINNED["image_ref"] in result.stdout
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(("answer", "is_warned"), [(BY_TAG, True), (PINNED, False)])
def test_an_approval_without_a_digest_is_warned_of(
    server: ScriptedServer, run: Run, answer: dict[str, Any], is_warned: bool, as_json: bool
) -> None:
    server.on(APPROVE, Reply(answer, 201))
    result = run("admin", "approve-image", "python:3.11", "--type", "python", *(["--json"] if as_json else []))
    assert result.exit_code == 0
    assert ("not pinned" in result.stderr) == is_warned
    assert "\x1b" not in result.stderr
    assert (json.loads(result.stdout) == answer) if as_json else ("pinned" in result.stdout)
    sent = server.requests[0].body
    assert (sent["image_ref"], sent["image_type"]) == ("python:3.11", "python")


def test_an_image_is_taken_back(server: ScriptedServer, run: Run) -> None:
    server.on("DELETE /admin/containers/2", Reply({"success": True, "id": 2, "image_ref": PINNED["image_ref"]}))
    result = run("admin", "remove-image", "2")
    assert result.exit_code == 0
    assert PINNED["image_ref"] in result.stdout
