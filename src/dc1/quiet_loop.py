"""An event loop that gRPC wakes once for all that has come, where it would be once for each thing."""

import array
import asyncio
import socket
import sys
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

T = TypeVar("T")
_Ts = TypeVarTuple("_Ts")

_TAKES_ALL = "_handle_events"
"""What gRPC's poller calls its reader, which takes one byte and everything that is ready."""

_taking = threading.Lock()


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run the main coroutine of a process that speaks gRPC, as `asyncio.run` does."""
    # Of Windows the loop is another, and nothing there tells how many bytes wait.
    with asyncio.Runner(loop_factory=None if sys.platform == "win32" else new_loop) as runner:
        return runner.run(main)


def new_loop() -> asyncio.AbstractEventLoop:
    """Return a loop that reads gRPC's bytes together."""
    return asyncio.new_event_loop() if sys.platform == "win32" else _QuietLoop()


class _QuietLoop(asyncio.SelectorEventLoop):
    """The usual loop, but for who reads what gRPC's thread writes.

    That thread writes a byte for each thing that is done, a message that was sent or came, and the reader takes one
    byte of them and everything that is done. So the bytes of what was done together stay, and each has the loop turn
    once more for nothing: of 64 callers of a busy server hundreds waited, and the loop never slept.
    """

    def add_reader(self, fd: "FileDescriptorLike", callback: Callable[[*_Ts], Any], *args: *_Ts) -> None:
        """Have a callback called when there is something to be read."""
        # By name, as gRPC says it in no other way: of one that has another its bytes are read as ever.
        named = callback.func if isinstance(callback, partial) else callback
        if not isinstance(fd, socket.socket) or getattr(named, "__name__", "") != _TAKES_ALL:
            super().add_reader(fd, callback, *args)
            return
        # Here, where the loop is this one: a daemon also starts on systems that have no such modules.
        import fcntl
        import termios

        waiting = array.array("i", [0])

        def quietly(*given: *_Ts) -> None:
            # All loops of a process read the same bytes: who took the last takes what is done of all. So one is left by
            # whoever counts; two that count the same took all of them, and what was done stayed until the next byte.
            with suppress(BlockingIOError):
                with _taking:
                    # Before the reader: for what is done meanwhile there will be a byte of its own.
                    fcntl.ioctl(fd.fileno(), termios.FIONREAD, waiting)
                    if (count := waiting[0]) > 1:
                        fd.recv(count - 1, socket.MSG_DONTWAIT)
                if count:
                    callback(*given)

        super().add_reader(fd, quietly, *args)
