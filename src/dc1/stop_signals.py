"""Signals by which people, terminals and machines ask a process to end, each of which means an orderly end."""

import signal
import sys


def stop_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that stop a process in order, without those that it was started to ignore.

    Asked before any of them is handled, for what is handled is not ignored any more.
    """
    # A terminal that closes and a Ctrl-\ ask for the same end as a Ctrl-C; by default both would kill at once.
    optional = () if sys.platform == "win32" else (signal.SIGHUP, signal.SIGQUIT)
    # `nohup` and a shell's `&` start what is to live on with these ignored.
    heard = (number for number in optional if signal.getsignal(number) is not signal.SIG_IGN)
    return signal.SIGINT, signal.SIGTERM, *heard


def hurries(number: signal.Signals) -> bool:
    """Tell whether a signal that comes a second time means that the end is wanted at once."""
    # The kernel and the shell each send one for the same closed terminal, and systemd one behind its SIGTERM.
    return sys.platform == "win32" or number is not signal.SIGHUP
