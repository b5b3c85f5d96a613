"""Programs that a test starts, freezes and kills."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from dc1.edge.child_processes import bound_to_us
from dc1.testing.waiting import eventually
from tests.support.programs import warm_start
from tests.support.programs.warm_start import WarmChild
from tests.support.signals import heeded_signals

DC1 = (sys.executable, "-m", "dc1.cli")

_ROOT = Path(__file__).parents[3]
# What runs is what lies beside the tests, whatever else is installed.
_PYTHONPATH = os.pathsep.join(str(_ROOT / part) for part in ("src", "gen", "."))


class Process:
    """A child in a process group of its own, which does not outlive this process.

    What it says goes to a file, in the directory `logs` if one is given.
    """

    def __init__(
        self, name: str, command: Sequence[str], env: Mapping[str, str], directory: Path, logs: Path | None = None
    ) -> None:
        self.name = name
        self._log = (logs or directory) / f"{name}.log"
        env = {"PATH": os.environ["PATH"], "HOME": str(directory), "PYTHONPATH": _PYTHONPATH, **env}
        self._child: subprocess.Popen[bytes] | WarmChild
        with self._log.open("ab") as output, heeded_signals():
            # What is loaded before a program can only be loaded with it.
            if tuple(command[: len(DC1)]) == DC1 and "LD_PRELOAD" not in env:
                self._child = warm_start.start(command[len(DC1) :], env, directory, output.fileno())
            else:
                self._child = subprocess.Popen(
                    bound_to_us(*command),
                    cwd=directory,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )

    @property
    def is_alive(self) -> bool:
        return self._child.poll() is None

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def said(self) -> str:
        return self._log.read_text(errors="replace")

    def expect(self, text: str, times: int = 1, seconds: float = 30) -> None:
        """Wait until the process has said `text` so many times, counting from its first start."""

        def heard() -> bool:
            assert self.is_alive or self.said.count(text) >= times, f"{self.name} ended: {self.said[-2000:]}"
            return self.said.count(text) >= times

        eventually(heard, f"{self.name} saying {text!r} {times} times", seconds)

    def kill(self) -> None:
        """End it at once (SIGKILL), as a power cut would."""
        self._child.kill()
        self._child.wait()

    def freeze(self) -> None:
        self._child.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._child.send_signal(signal.SIGCONT)

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""
        self._child.terminate()

    def hang_up(self) -> None:
        """Tell it that its terminal closed (SIGHUP)."""
        self._child.send_signal(signal.SIGHUP)

    def exit_status(self, seconds: float = 20) -> int:
        """The status it ends with."""
        return self._child.wait(seconds)

    def clean_up(self) -> None:
        """End it and everything it started, in whatever state it is."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
