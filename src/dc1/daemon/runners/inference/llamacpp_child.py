"""The process in which the built-in engine lives: llama.cpp's server of the OpenAI API, on a socket of the daemon's.

Its arguments are the model's file, the socket, the name, the slots, the context of each and the template of chats, if
the model's own is not wanted. It emits `ready` with the device once the model is loaded, and ends with its parent.
Without arguments it emits `loadable` where the library can be loaded, and ends.
"""

import os
import sys
import threading
from pathlib import Path
from typing import Any

from dc1.daemon.runners.child import ParentLink
from dc1.daemon.runners.inference import gguf

# A prompt is read in so many tokens at a time, between which the answers of the other slots go on.
_BATCH_TOKENS = 512
_PROMPT_CACHE_MIB = 256
_ERRORS_ONLY = 1


def parameters(model: str, socket: str, name: str, slots: int, context: int, template: str) -> Any:
    """Return llama.cpp's parameters."""
    import xllamacpp

    wanted = xllamacpp.CommonParams()
    wanted.model.path = model
    wanted.model_alias = {name}
    wanted.hostnames = [socket]
    wanted.n_parallel = slots
    # Each slot has a context of its own: of a common one, a long chat would take what the others were promised.
    wanted.kv_unified = False
    wanted.n_ctx = context * slots
    wanted.n_batch = wanted.n_ubatch = _BATCH_TOKENS
    wanted.embedding = True
    if not gguf.head(Path(model)).makes_vectors:
        # Models for chat say nothing of it, and an embedding of a text is one vector, not one a token.
        wanted.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    wanted.cache_ram_mib = _PROMPT_CACHE_MIB
    # Its threads spin while they wait for each other: on cores that others use too, more of them are slower.
    wanted.cpuparams.n_threads = max(1, (os.cpu_count() or 1) // 2)
    wanted.endpoint_slots = wanted.ui = False
    wanted.verbosity = _ERRORS_ONLY
    if template:
        wanted.chat_template = Path(template).read_text(encoding="utf-8")
    return wanted


def device() -> str:
    """Return what the model runs on: a GPU where this build of llama.cpp knows one."""
    import xllamacpp

    return "gpu" if any("GPU" in each["type"].name.split("_")[-1] for each in xllamacpp.get_device_info()) else "cpu"


def main() -> None:
    """Serve until the parent is gone."""
    link = ParentLink()
    import xllamacpp

    if not sys.argv[1:]:
        link.emit("loadable")
        return
    model, socket, name, slots, context, template = sys.argv[1:]
    try:
        server = xllamacpp.Server(parameters(model, socket, name, int(slots), int(context), template))
    except RuntimeError:
        # It says to whom it was given wrongly, and its own log which file it was.
        sys.exit("llama.cpp cannot load it: it knows no such model, or the file is damaged, or larger than the memory")
    link.emit("ready", device=device(), address=server.listening_address)
    # The server has threads of its own, and the link ends the process.
    threading.Event().wait()


if __name__ == "__main__":
    main()
