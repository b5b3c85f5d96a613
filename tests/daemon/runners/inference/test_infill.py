"""Filling in, by the real llama.cpp and a model that has tokens for it."""

import json
import struct
from pathlib import Path

import pytest

from dc1.daemon.runners.base import EngineCall
from dc1.daemon.runners.inference.engine_llamacpp import LlamaCppEngine, bundled_model, model_in

pytestmark = pytest.mark.model

COMPLETIONS = "/v1/completions"
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
TOKENS = {"pre": 4, "suf": 5, "mid": 6}


def after(data: bytes, kind: int, at: int) -> int:
    """Where a value of the head ends."""
    if kind == 8:
        return at + 8 + int(struct.unpack_from("<Q", data, at)[0])
    if kind != 9:
        return at + SIZES[kind]
    of, count = struct.unpack_from("<IQ", data, at)
    at += 12
    for _ in range(count):
        at = after(data, of, at)
    return at


def with_tokens(source: Path, target: Path) -> Path:
    """The model in a file, with numbers of its unused tokens as those to fill in between."""
    data = source.read_bytes()
    version, tensors, entries = struct.unpack_from("<IQQ", data, 4)
    at = 24
    for _ in range(entries):
        at = after(data, 8, at)
        at = after(data, struct.unpack_from("<I", data, at)[0], at + 4)
    head_end = at
    for _ in range(tensors):
        at = after(data, 8, at)
        at += 4 + 8 * int(struct.unpack_from("<I", data, at)[0]) + 12
    keys = {f"tokenizer.ggml.fim_{name}_token_id": number for name, number in TOKENS.items()}
    added = b"".join(struct.pack("<Q", len(key)) + key.encode() + struct.pack("<II", 4, n) for key, n in keys.items())
    head = data[:4] + struct.pack("<IQQ", version, tensors, entries + len(keys)) + data[24:head_end] + added
    head += data[head_end:at]
    # What follows the head is aligned anew.
    target.write_bytes(head + b"\0" * (-len(head) % 32) + data[-(-at // 32) * 32 :])
    return target


async def test_a_text_is_filled_in(tmp_path: Path) -> None:
    bundled = bundled_model()
    assert bundled is not None
    engine = LlamaCppEngine(model_in(with_tokens(bundled.file, tmp_path / "fim.gguf")))
    events: list[str] = []

    async def told(event: str, _text: str, _is_last: bool) -> None:
        events.append(event)

    asked = {"model": "x", "prompt": "def add(a, b):\n", "suffix": "\n    return c", "max_tokens": 4, "stream": True}
    try:
        (model,) = await engine.models()
        abilities = (await engine.abilities())[model]
        answer = await engine.call(model, EngineCall(COMPLETIONS, json.dumps(asked), 4), told)
    finally:
        await engine.aclose()
    assert {COMPLETIONS, "/v1/embeddings"} <= abilities.paths
    assert "infill" in abilities.features
    said = [json.loads(event) for event in events if event]
    assert "".join(chunk["choices"][0]["text"] for chunk in said) == answer.text != ""
    assert said[-1]["usage"]["completion_tokens"] == answer.completion_tokens == 4
