"""The demo's processes: the same commands that a person would start by hand."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from dc1.cli.errors import CommandError
from dc1.edge.child_processes import bound_to_us

T = TypeVar("T")

_STOP_SECONDS = 30.0
_SHOWN_LINES = 15
# Four looks a second stay below the general rate limit.
_LOOK_SECONDS = 0.25


class Child:
    """A `dc1` command in a process of its own, which writes to a log file.

    Args:
        arguments: the command, for example `["up"]`.
        environment: `DC1_…` variables; those of the caller's environment are left out, so that a demo touches nothing
            else.
        log: the file for its output.
    """

    def __init__(self, arguments: list[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = f"dc1 {arguments[0]}"
        self._log = log
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DC1_")}
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                # Should the demo be killed, the kernel asks the child to end.
                # Not from the directory that this was started in, where others may have put modules.
                bound_to_us(sys.executable, "-P", "-m", "dc1.cli", *arguments),
                env={**inherited, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Its own group: Ctrl-C reaches the demo alone, which then stops its children in order.
                start_new_session=True,
            )

    def until(self, ready: Callable[[], T | None], *, what: str, seconds: float) -> T:
        """Return what `ready` returns once that is not None.

        Raises:
            CommandError: the process ended or `seconds` passed before; the text names `what` was waited for.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            # A process that has died would else be waited for in vain until the deadline.
            self.check()
            result = ready()
            if result is not None:
                return result
            time.sleep(_LOOK_SECONDS)
        raise CommandError(f"Waited {seconds:g} s in vain for {what}.\n{self._tail()}")

    def check(self) -> None:
        """Raise CommandError when the process has ended."""
        code = self._process.poll()
        if code is not None:
            raise CommandError(f"`{self.name}` ended with exit code {code}.\n{self._tail()}")

    def stop(self) -> None:
        """Ask the process to end and wait for it; kill what does not. A second Ctrl-C no longer interrupts."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _tail(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join([f"The last lines of `{self.name}`:", *lines[-_SHOWN_LINES:]])


def usable_port(preferred: int | None = None) -> int:
    """Return `preferred` if it can be listened on, else a port that can."""
    for port in (preferred, 0):
        if port is None:
            continue
        # Another program may take the port before the child does; the demo then fails with the child's words.
        with socket.socket() as probe:
            # As servers listen: without it, connections that closed a moment ago still hold the port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise CommandError("No port is free on this machine's loopback.")
