"""`dc1` commands in processes of their own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from dc1.testing.waiting import eventually
from tests.support.programs import warm_start
from tests.support.programs.warm_start import WarmChild
from tests.support.signals import heeded_signals

START_SECONDS = 60.0


class Command:
    """A running `dc1` command.

    Its libraries are there already, unless it is `cold`: then it starts as a person's does, which takes two seconds of
    a core.
    """

    def __init__(
        self,
        directory: Path,
        arguments: tuple[str, ...],
        settings: dict[str, str],
        under: tuple[str, ...] = (),
        *,
        cold: bool = False,
    ) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DC1_")}
        env = {**inherited, "DC1_DATA_DIR": str(directory), "COLUMNS": "200", **settings}
        self.data_dir = directory
        self._out, self._err = directory / "stdout", directory / "stderr"
        self.process: subprocess.Popen[bytes] | WarmChild
        with self._out.open("wb") as out, self._err.open("wb") as err, heeded_signals():
            if not (cold or under):
                self.process = warm_start.start(arguments, env, Path.cwd(), out.fileno(), err.fileno())
                return
            self.process = subprocess.Popen(
                [*under, sys.executable, "-m", "dc1.cli", *arguments],
                env=env,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    @property
    def stdout(self) -> str:
        return self._out.read_text(encoding="utf-8")

    @property
    def stderr(self) -> str:
        return self._err.read_text(encoding="utf-8")

    def says(self, text: str) -> str:
        """All of stdout, once it contains `text`."""

        def said() -> str:
            assert self.process.poll() is None, self.stdout + self.stderr
            return self.stdout if text in self.stdout else ""

        return eventually(said, f"the words {text!r}", START_SECONDS)

    def children(self) -> list[int]:
        threads = Path(f"/proc/{self.process.pid}/task").iterdir()
        return [int(pid) for thread in threads for pid in (thread / "children").read_text().split()]

    def end(self, number: signal.Signals) -> int:
        """Send a signal to the process and return its exit status."""
        self.process.send_signal(number)
        return self.process.wait(START_SECONDS)


def is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
