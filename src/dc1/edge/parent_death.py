"""Start a program that the kernel ends with its parent: `python parent_death.py PARENT_PID PROGRAM [ARGUMENT…]`.

A control plane that is killed cannot stop Envoy any more, and an Envoy left behind would hold the public port. Only
Linux has this; elsewhere the program just starts.
"""

import ctypes
import os
import signal
import sys

# From linux/prctl.h; Python has no name for it. What it sets outlives the exec below.
PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask for SIGTERM at the parent's death, then become the program."""
    parent = int(sys.argv[1])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        # The parent may have died before the kernel was asked, and then no signal comes.
        if os.getppid() != parent:
            sys.exit(1)
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - the arguments are our own caller's


if __name__ == "__main__":
    main()
