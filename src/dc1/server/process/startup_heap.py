"""What the garbage collector is told of a server, and when it looks at all of the heap."""

import asyncio
import gc

_YOUNG_OBJECTS = 10_000
"""How many objects are made before the collector looks at them; by default 700, which is a call or two."""

_YOUNG_LOOKS = 5
_NEVER = 1_000_000_000
_WHOLE_SECONDS = 900.0


def freeze_startup_objects() -> None:
    """Take what exists now for permanent, and look less often at what comes; on the running loop.

    Modules, descriptors and a loaded fleet live as long as the process. Looking at them again and again for garbage
    took a tenth of the time of a busy server, and what a call leaves behind is freed by its reference counts. Streams
    stay for weeks, and everything would be looked at whenever a quarter was added: a dozen times while ten thousand
    daemons connect, each time for longer. It is by the clock instead, for rings of objects that outlived their call.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, _YOUNG_LOOKS, _NEVER)
    asyncio.get_running_loop().call_later(_WHOLE_SECONDS, _look_at_all)


def _look_at_all() -> None:
    gc.collect()
    asyncio.get_running_loop().call_later(_WHOLE_SECONDS, _look_at_all)
