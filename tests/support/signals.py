"""Signals as a program finds them that a person starts, however the tests were started."""

import contextlib
import signal
import threading
from collections.abc import Iterator


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
