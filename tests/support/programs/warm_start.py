"""Programs of ours, started by a process that has loaded them already: to load them takes longer than most tests.

Each is a process all the same, with a session, a directory, an environment and an output of its own. Run as a program,
this is the process that starts them.
"""

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from dc1.edge.child_processes import bound_to_us
from dc1.edge.parent_death import PR_SET_PDEATHSIG
from tests.support.signals import heeded_signals

_LOADED = (
    *("dc1.cli.app", "dc1.cli.serving.serving", "dc1.cli.serving.servers", "dc1.daemon.build"),
    # What makes a database, for one that has none.
    *("alembic.command", "alembic.context", "dc1.storage.schema.tables"),
)
_LONGEST_REQUEST = 256 * 1024


class WarmChild:
    """What `subprocess.Popen` is for a child of ours, for one that is the starter's."""

    def __init__(self, pid: int, ended: int) -> None:
        self.pid = pid
        self._ended = ended
        self._status: int | None = None

    def poll(self) -> int | None:
        """Return the status it ended with, negative for a signal; None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Return the status it ends with.

        Raises:
            subprocess.TimeoutExpired: It runs on.
        """
        if self._status is None:
            ready, _, _ = select.select([self._ended], [], [], timeout)
            if not ready:
                raise subprocess.TimeoutExpired("dc1", timeout or 0)
            said = os.read(self._ended, 64)
            os.close(self._ended)
            # The starter itself is gone, and everybody whom it started with it.
            self._status = int(said) if said else -signal.SIGKILL
        return self._status

    def send_signal(self, number: int) -> None:
        """Send a signal, if it runs: its number may be another's afterwards."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


class _Starter:
    """The process that has loaded everything, as the one that asks it for children sees it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, heeded_signals():
            self._process = subprocess.Popen(
                bound_to_us(sys.executable, "-m", __name__, str(theirs.fileno())),
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                start_new_session=True,
            )
        self._socket = ours
        # Of two threads that ask at once, each is to have the number of its own child.
        self._turn = threading.Lock()

    def start(
        self, arguments: Sequence[str], env: Mapping[str, str], directory: Path, output: int, errors: int
    ) -> WarmChild:
        request = {"arguments": list(arguments), "env": dict(env), "directory": str(directory)}
        ended, say_ended = os.pipe()
        try:
            with self._turn:
                socket.send_fds(self._socket, [json.dumps(request).encode()], [output, errors, say_ended])
                pid = self._socket.recv(64)
        finally:
            os.close(say_ended)
        assert pid, "the process that starts programs is gone"
        return WarmChild(int(pid), ended)

    def close(self) -> None:
        """Let it end, and whatever it has started that is still there."""
        self._socket.close()
        self._process.wait()


@cache
def _starter() -> _Starter:
    starter = _Starter()
    # No fixture's: helpers start programs as well. The interpreter would complain of both at its end.
    atexit.register(starter.close)
    return starter


def start(
    arguments: Sequence[str], env: Mapping[str, str], directory: Path, output: int, errors: int | None = None
) -> WarmChild:
    """Start `dc1` with these arguments in a session of its own; whatever it says goes to the file `output`.

    What it says on standard error goes to `errors`, if that is given. It does not outlive this process.
    """
    return _starter().start(arguments, env, directory, output, output if errors is None else errors)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _serve(requests: socket.socket) -> Mapping[str, Any]:
    """Start what is asked for until nobody asks any more; return in each process that was started, with what it is."""
    children: dict[int, int] = {}
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    with selectors.DefaultSelector() as selector:
        selector.register(requests, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fd == woken:
                    os.read(woken, 4096)
                    _tell_ended(children)
                    continue
                message, files, *_ = socket.recv_fds(requests, _LONGEST_REQUEST, 3)
                if not message:
                    sys.exit()
                output, errors, say_ended = files
                pid = os.fork()
                if pid == 0:
                    for other in (*children.values(), say_ended, woken, wake):
                        os.close(other)
                    _die_with_parent()
                    requests.close()
                    return {**json.loads(message), "output": output, "errors": errors}
                os.close(output)
                os.close(errors)
                children[pid] = say_ended
                requests.send(str(pid).encode())


def _tell_ended(children: dict[int, int]) -> None:
    for pid in list(children):
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            told = children.pop(pid)
            with contextlib.suppress(BrokenPipeError):
                os.write(told, str(os.waitstatus_to_exitcode(status)).encode())
            os.close(told)


def _become(program: Mapping[str, Any]) -> None:
    """Be what a shell would have started: nothing of the starter is to be seen."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.chdir(program["directory"])
    os.environ.clear()
    os.environ.update(program["env"])
    for to, kind in ((1, "output"), (2, "errors")):
        os.dup2(program[kind], to)
        os.close(program[kind])
    gc.enable()
    sys.argv = ["dc1", *program["arguments"]]
    runpy.run_module("dc1.cli", run_name="__main__", alter_sys=True)


def main() -> None:
    """Load everything, then start what is asked for."""
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    gc.disable()
    for module in _LOADED:
        importlib.import_module(module)
    gc.freeze()
    _become(_serve(socket.socket(fileno=int(sys.argv[1]))))


if __name__ == "__main__":
    main()
