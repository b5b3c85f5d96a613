"""Ctrl-C ends a command without a word, whenever it comes."""

import signal
import socket
from collections.abc import Callable
from pathlib import Path

from tests.cli.processes import Command

Start = Callable[..., Command]


def test_while_the_command_line_is_loaded(start: Start, tmp_path: Path) -> None:
    # In the place of a library, so that loading lasts until it is interrupted.
    library = tmp_path / "libraries" / "httpx"
    library.mkdir(parents=True)
    (library / "__init__.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(60)\n")

    command = start("renter", "me", cold=True, PYTHONPATH=str(library.parent))
    command.says("loading")

    # As shells have it, who then stop the script around it, too.
    assert command.end(signal.SIGINT) == -signal.SIGINT
    assert command.stderr == ""


def test_while_an_answer_is_waited_for(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        command = start("renter", "me", DC1_URL=f"http://127.0.0.1:{silent.getsockname()[1]}", DC1_RENTER_KEY="k")
        with silent.accept()[0]:
            assert command.end(signal.SIGINT) == 128 + signal.SIGINT
    assert (command.stdout, command.stderr) == ("", "")
