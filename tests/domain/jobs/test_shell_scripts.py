"""Scripts of ordered commands, run by a real shell and by Python: every text arrives as it was sent."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dc1.domain.jobs.tasks.shell_scripts import command_script

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
TRAPS = [
    "'''",
    '"; exit 3; "',
    "$(echo no)",
    "`no`",
    "\\x41\\N{DOLLAR SIGN}",
    "%s%n",
    "a\n\n",
    "-n",
    "",
    "\\",
    "اكتب",
    "'",
]
SHOW = "import json, os, sys; print(json.dumps([sys.argv[1:], os.environ.get('A')]))"


def run(script: str, folder: Path, starter: str = "/bin/sh") -> tuple[int, str]:
    file = folder / "task.py"
    file.write_text(script, encoding="utf-8")
    ran = subprocess.run([starter, str(file)], capture_output=True, timeout=20, check=False, env={"PATH": os.defpath})
    return ran.returncode, ran.stdout.decode(errors="replace")


@pytest.mark.parametrize("starter", ["/bin/sh", sys.executable])
def test_words_and_variables_arrive_as_they_were_sent(tmp_path: Path, starter: str) -> None:
    script = command_script([sys.executable, "-c", SHOW, *TRAPS], {"A": "".join(TRAPS)})
    assert script is not None
    status, printed = run(script, tmp_path, starter)
    assert (status, json.loads(printed)) == (0, [TRAPS, "".join(TRAPS)])


@given(words=st.lists(TEXTS, max_size=4), value=TEXTS)
def test_no_text_is_read_as_a_script(tmp_path_factory: pytest.TempPathFactory, words: list[str], value: str) -> None:
    script = command_script(["/bin/echo", *words], {"A": value})
    assert script is not None
    compile(script, "task.py", "exec")
    body = script.split("'''")
    # The shell's part is the one text that Python closes again, whatever was put into it.
    assert len(body) == 3
    assert "exec" in body[1]


def test_a_line_runs_in_a_shell_with_its_own_exit_status(tmp_path: Path) -> None:
    script = command_script("echo one | tr o 0; exit 7", {})
    assert script is not None
    assert run(script, tmp_path) == (7, "0ne\n")


@pytest.mark.parametrize(
    ("command", "environment"),
    [
        ("true", {"A-B": "x"}),
        ("true", {"1": "x"}),
        ("true", {"UID": "0"}),
        ("true\0", {}),
        ([], {}),
        ([""], {}),
        ("x" * 131_072, {}),
        ("true", {"A": "x" * 131_072}),
    ],
)
def test_what_no_script_can_do_is_said(command: str | list[str], environment: dict[str, str]) -> None:
    assert command_script(command, environment) is None
