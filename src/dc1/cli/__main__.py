"""`dc1`, which `python -m dc1.cli` is too."""

import signal


def main() -> None:
    """Load and run the command line; Ctrl-C ends it without a word, also while it is being loaded."""
    # A parent may have it ignored, as `nohup` and a shell's `&` do, and it stays so.
    is_heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    # Loading takes a good part of a second, and Python would answer an interrupt in it by a traceback of some library.
    if is_heeded:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from dc1.cli import app

    if is_heeded:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        app.main()
    finally:
        # What is left is Python's own end, which has nothing to tell either.
        if is_heeded:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    main()
