"""How many calls an engine takes at once, asked of it in the ways of those that say so."""

import re
from collections.abc import Callable, Collection

from dc1.daemon.runners.inference.discovery.answers import Fetch, count_in, list_of, object_of
from dc1.domain.base.json_types import objects

MOST_CALLS = 4_096
"""No engine answers more; what says more was not counted."""

# vLLM says how many tokens its memory holds, and not how many calls it takes: 256 by default, of which each needs room.
_MEMORY_CALLS = 256
_TOKENS_A_CALL = 2_048
# One line an engine, of which there are several where each GPU has its own.
_VLLM_MEMORY = re.compile(r"^(?:vllm|aphrodite):cache_config_info\{(.*)\}", re.MULTILINE)
_LABEL = re.compile(r'(block_size|num_gpu_blocks)="(\d{1,12})"')
_SGLANG_MEMORY = re.compile(r"^sglang:max_total_num_tokens(?:\{.*\})? (\d{1,12})(?:\.0*)?$", re.MULTILINE)
_SGLANG_STATE = ("effective_max_running_requests_per_dp", "max_running_requests")
_USUAL_CALLS = {"vllm": 32, "sglang": 32, "lmdeploy": 32}
"""By whom models are owned in the list of them: engines that take many calls, behind what passes on nothing else."""


async def concurrency(fetch: Fetch, owners: Collection[object] = ()) -> int:
    """Return how many calls an engine takes at once, 0 for one that does not say and whose kind is not known.

    `owners` is whose its models are, by its list of them.
    """
    for path, read in _SOURCES:
        said = await fetch(path)
        if said is not None and (calls := read(said)) > 0:
            return min(calls, MOST_CALLS)
    return max((_USUAL_CALLS.get(str(owner).lower(), 0) for owner in owners), default=0)


def _field(name: str) -> Callable[[bytes], int]:
    return lambda said: count_in(object_of(said), name)


def _sglang(said: bytes) -> int:
    info = object_of(said)
    # What was set, or what each of its parts has worked out; the first is null as a rule.
    states = sum(count_in(state, *_SGLANG_STATE) for state in objects(info.get("internal_states")))
    return count_in(info, "max_running_requests") or states or _by_memory(count_in(info, "max_total_num_tokens"))


def _metrics(said: bytes) -> int:
    text = said.decode(errors="replace")
    tokens = sum(map(int, _SGLANG_MEMORY.findall(text)))
    for labels in _VLLM_MEMORY.findall(text):
        sizes = {name: int(size) for name, size in _LABEL.findall(labels)}
        tokens += sizes.get("block_size", 0) * sizes.get("num_gpu_blocks", 0)
    return _by_memory(tokens)


def _by_memory(tokens: int) -> int:
    return max(1, min(_MEMORY_CALLS, tokens // _TOKENS_A_CALL)) if tokens else 0


_SOURCES: tuple[tuple[str, Callable[[bytes], int]], ...] = (
    ("props", _field("total_slots")),  # llama.cpp
    ("slots", lambda said: len(objects(list_of(said)))),  # the same, which may have one of them closed
    ("get_server_info", _sglang),  # SGLang
    ("server_info", _sglang),  # the same since it was named anew
    ("metrics", _metrics),  # vLLM, Aphrodite, and SGLang where it is asked to
    ("info", _field("max_concurrent_requests")),  # Hugging Face's TGI
)
