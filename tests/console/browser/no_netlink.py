"""A program that hears nothing of the machine's network interfaces, as if there were none that come and go.

Chromium gives up what it is about to ask for, with ERR_NETWORK_CHANGED, whenever an interface gets an address, and has
no setting against it; the containers that other tests start bring interfaces up. It learns of them by netlink, and does
without where there is none.
"""

import ctypes
import os
import struct
import sys
from pathlib import Path

_SET_NO_NEW_PRIVS, _SET_SECCOMP, _FILTER = 38, 22, 2
_LOAD, _SAME, _RETURN = 0x20, 0x15, 0x06
_CALL, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_X86_64, _SOCKET, _NETLINK = 0xC000003E, 41, 16
_ALLOW, _UNSUPPORTED = 0x7FFF0000, 0x00050000 | 97
# What is asked of the kernel, how far to go on where it is so and where it is not, and with what it is compared.
_PROGRAM = (
    (_LOAD, 0, 0, _ARCHITECTURE),
    (_SAME, 0, 5, _X86_64),
    (_LOAD, 0, 0, _CALL),
    (_SAME, 0, 3, _SOCKET),
    (_LOAD, 0, 0, _FIRST_ARGUMENT),
    (_SAME, 0, 1, _NETLINK),
    (_RETURN, 0, 0, _UNSUPPORTED),
    (_RETURN, 0, 0, _ALLOW),
)


def give_up_netlink() -> None:
    """Let no more netlink sockets be made in this process, nor in those that it starts or becomes."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in _PROGRAM))
    program = ctypes.create_string_buffer(struct.pack("H6xP", len(_PROGRAM), ctypes.addressof(code)))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    # Without the first only root may have the second.
    for request in ((_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0)):
        if prctl(*request):
            raise OSError(ctypes.get_errno(), "the kernel takes no filter")


def wrapped(program: str, folder: Path) -> Path:
    """Return a program in a folder that is another one without netlink."""
    path = folder / Path(program).name
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I "{__file__}" "{program}" "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return path


if __name__ == "__main__":
    give_up_netlink()
    os.execv(sys.argv[1], sys.argv[1:])
