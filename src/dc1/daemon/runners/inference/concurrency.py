"""How many calls an engine takes at once, asked of it in the ways of those that say so."""

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

MOST_CALLS = 4_096
"""No engine answers more; what says more was not counted."""

# vLLM says how many tokens its memory holds, and not how many calls it takes: 256 by default, of which each needs room.
_VLLM_CALLS = 256
_TOKENS_A_CALL = 2_048
_VLLM_MEMORY = re.compile(r"^vllm:cache_config_info\{(.*)\}", re.MULTILINE)
_LABEL = re.compile(r'(block_size|num_gpu_blocks)="(\d{1,12})"')

Fetch = Callable[[str], Awaitable[bytes | None]]
"""Returns what the engine says under a path, None where it has nothing there."""


async def concurrency(fetch: Fetch) -> int:
    """Return how many calls an engine takes at once, 0 for one that does not say."""
    for path, read in _SOURCES:
        said = await fetch(path)
        if said is not None and (calls := read(said)) > 0:
            return min(calls, MOST_CALLS)
    return 0


def _field(name: str) -> Callable[[bytes], int]:
    def read(said: bytes) -> int:
        try:
            whole: Any = json.loads(said)
        except (ValueError, RecursionError):
            return 0
        value = whole.get(name) if isinstance(whole, dict) else None
        # By the exact type: a boolean is an int to Python.
        return value if type(value) is int else 0

    return read


def _vllm(said: bytes) -> int:
    memory = _VLLM_MEMORY.search(said.decode(errors="replace"))
    sizes = {name: int(size) for name, size in _LABEL.findall(memory[1])} if memory else {}
    if len(sizes) < 2:
        return 0
    return max(1, min(_VLLM_CALLS, sizes["block_size"] * sizes["num_gpu_blocks"] // _TOKENS_A_CALL))


_SOURCES: tuple[tuple[str, Callable[[bytes], int]], ...] = (
    ("props", _field("total_slots")),  # llama.cpp
    ("get_server_info", _field("max_running_requests")),  # SGLang
    ("metrics", _vllm),
    ("info", _field("max_concurrent_requests")),  # Hugging Face's TGI
)
