"""The browser of these tests hears nothing of interfaces that others bring up meanwhile."""

import subprocess
import sys
from pathlib import Path

from tests.console.browser.no_netlink import wrapped

_LOOK = "import socket; socket.socket(socket.AF_INET); socket.socket(socket.AF_NETLINK)"


def test_a_wrapped_program_has_no_netlink_and_what_else_there_is(tmp_path: Path) -> None:
    program = wrapped(sys.executable, tmp_path)
    done = subprocess.run([program, "-I", "-c", _LOOK], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith("Address family not supported by protocol")
