"""Starts a program that the kernel ends together with its parent: `python leash.py PARENT_PID PROGRAM [ARGUMENT…]`.

A control plane that is killed cannot stop Envoy any more, and an Envoy left behind would hold the public port. Only Linux has
this; elsewhere the program just starts.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask for SIGTERM at the parent's death, then become the program."""
    parent = int(sys.argv[1])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            sys.exit(1)
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - the arguments are our own caller's


if __name__ == "__main__":
    main()
