"""How many calls an engine takes at once, asked of it in the ways of those that say so."""

import re
from collections.abc import Callable

from dc1.daemon.runners.inference.discovery.answers import Fetch, count_in, object_of

MOST_CALLS = 4_096
"""No engine answers more; what says more was not counted."""

# vLLM says how many tokens its memory holds, and not how many calls it takes: 256 by default, of which each needs room.
_VLLM_CALLS = 256
_TOKENS_A_CALL = 2_048
_VLLM_MEMORY = re.compile(r"^vllm:cache_config_info\{(.*)\}", re.MULTILINE)
_LABEL = re.compile(r'(block_size|num_gpu_blocks)="(\d{1,12})"')


async def concurrency(fetch: Fetch) -> int:
    """Return how many calls an engine takes at once, 0 for one that does not say."""
    for path, read in _SOURCES:
        said = await fetch(path)
        if said is not None and (calls := read(said)) > 0:
            return min(calls, MOST_CALLS)
    return 0


def _field(name: str) -> Callable[[bytes], int]:
    return lambda said: count_in(object_of(said), name)


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
