"""Signals as a program finds them that a person starts, and programs that are stopped by one."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterable, Iterator


@contextlib.contextmanager
def heeded_signals() -> Iterator[None]:
    """Ignore nothing while a program is started, which would inherit what `nohup` or a shell's `&` made ignored."""
    ignored = [
        number
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
        # Only the main thread may change them; what another one starts is killed and not asked to end.
        if signal.getsignal(number) is signal.SIG_IGN and threading.current_thread() is threading.main_thread()
    ]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def stopped(pids: Iterable[int]) -> Iterator[None]:
    """Have processes stand still while the block runs, as where a disk hangs, and go on whatever happens in it."""
    found = list(pids)
    try:
        _send(found, signal.SIGSTOP)
        yield
    finally:
        _send(found, signal.SIGCONT)


def _send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        # A connection that was closed meanwhile had a process of its own.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
