"""What an engine's models are found to be able to do, each kind of engine asked in its own way."""

import json
from typing import Any

import pytest

from dc1.daemon.runners.inference.discovery.abilities import AbilityProbe
from dc1.domain.base.json_types import JsonObject
from dc1.domain.providers.model_abilities import ModelAbilities

CHAT, COMPLETIONS, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
RERANK, RESPONSES = "/v1/rerank", "/v1/responses"


class Engine:
    """Pages that it has, and what it says to an object on a path, with `empty` for one with nothing in it."""

    def __init__(self, pages: dict[str, Any], posts: dict[str, int], shown: JsonObject | None = None) -> None:
        self.pages = pages
        self.posts = posts
        self.shown = shown
        self.asked: list[str] = []

    async def fetch(self, path: str) -> bytes | None:
        return json.dumps(self.pages[path]).encode() if path in self.pages else None

    async def post(self, path: str, body: JsonObject) -> tuple[int, bytes] | None:
        self.asked.append(path)
        if path == "api/show" and self.shown is not None:
            return 200, json.dumps(self.shown).encode()
        status = self.posts.get(f"/{path}", 404)
        # What is there answers what is whole, and misses what is not.
        return 400 if status == 200 and not body else status, b"{}"

    async def abilities(self, **entry: Any) -> ModelAbilities:
        found = await AbilityProbe(self.fetch, self.post).of([{"id": "m", **entry}])
        return found["m"]


VLLM: dict[str, Any] = {"openapi.json": {"paths": {CHAT: {}, COMPLETIONS: {}, RESPONSES: {}, "/v1/other": {}}}}
LLAMACPP: dict[str, Any] = {
    "props": {
        "total_slots": 4,
        "default_generation_settings": {"n_ctx": 4096},
        "modalities": {"vision": True, "audio": False},
        "chat_template": "{% if enable_thinking %}",
        "chat_template_caps": {"supports_tools": True},
    }
}
SGLANG: dict[str, Any] = {
    "openapi.json": {"paths": {CHAT: {}, COMPLETIONS: {}, EMBEDDINGS: {}, RERANK: {}}},
    "get_model_info": {"is_generation": False},
}


async def test_llama_cpp() -> None:
    posts = {COMPLETIONS: 200, EMBEDDINGS: 200, CHAT: 200, RERANK: 501, "/infill": 200, RESPONSES: 500}
    found = await Engine(LLAMACPP, posts).abilities()
    assert found == ModelAbilities(
        frozenset({CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES}),
        4096,
        frozenset({"text", "image"}),
        features=frozenset({"structured_outputs", "tools", "reasoning", "infill"}),
    )


async def test_llama_cpp_with_a_model_that_makes_vectors_alone() -> None:
    found = await Engine(LLAMACPP, {COMPLETIONS: 200, EMBEDDINGS: 200, CHAT: 500, "/infill": 501}).abilities()
    assert found.paths == {EMBEDDINGS}
    ranking = await Engine(LLAMACPP, {EMBEDDINGS: 200, RERANK: 200, CHAT: 500}).abilities()
    assert ranking.paths == {RERANK}


async def test_vllm() -> None:
    found = await Engine(VLLM, {}).abilities(max_model_len=32768, owned_by="vllm")
    assert found == ModelAbilities(
        frozenset({CHAT, COMPLETIONS, RESPONSES}), 32768, features=frozenset({"structured_outputs"})
    )


async def test_sglang_lists_paths_that_its_model_has_not() -> None:
    found = await Engine(SGLANG, {EMBEDDINGS: 200, RERANK: 400, CHAT: 400}).abilities(max_model_len=512)
    assert (found.paths, found.context_length) == (frozenset({EMBEDDINGS}), 512)
    chatting = {**SGLANG, "get_model_info": {"is_generation": True, "has_image_understanding": True}}
    found = await Engine(chatting, {EMBEDDINGS: 400, RERANK: 400}).abilities()
    assert (found.paths, found.input_modalities) == (frozenset({CHAT, COMPLETIONS}), frozenset({"text", "image"}))


async def test_tgi() -> None:
    found = await Engine({"info": {"max_total_tokens": 2048}}, {COMPLETIONS: 422}).abilities()
    assert (found.paths, found.context_length) == (frozenset({CHAT, COMPLETIONS}), 2048)
    assert found.features == {"structured_outputs"}


async def test_ollama() -> None:
    shown: JsonObject = {
        "capabilities": ["completion", "tools", "vision", "insert", "thinking"],
        "parameters": 'stop "x"\nnum_ctx 16384',
    }
    found = await Engine({}, {}, shown).abilities()
    assert found == ModelAbilities(
        frozenset({CHAT, COMPLETIONS}),
        16384,
        frozenset({"text", "image"}),
        features=frozenset({"tools", "infill", "reasoning", "structured_outputs"}),
    )
    assert (await Engine({}, {}, {"capabilities": ["embedding"]}).abilities()).paths == {EMBEDDINGS}


async def test_a_server_that_says_nothing_of_itself_is_tried() -> None:
    found = await Engine({}, {EMBEDDINGS: 200, CHAT: 200, COMPLETIONS: 405}).abilities(
        context_length=1000, architecture={"input_modalities": ["text", "audio"]}
    )
    assert (found.paths, found.context_length) == (frozenset({CHAT, EMBEDDINGS}), 1000)
    assert found.input_modalities == {"text", "audio"}


@pytest.mark.parametrize("odd", [[], 7, "x", None, {"paths": 5, "total_slots": "x", "modalities": [1]}])
async def test_one_that_says_odd_things_is_taken_to_chat(odd: Any) -> None:
    pages = dict.fromkeys(("props", "openapi.json", "get_model_info", "info"), odd)
    found = await Engine(pages, dict.fromkeys((COMPLETIONS, EMBEDDINGS), 503)).abilities(max_model_len=True)
    assert (found.paths, found.context_length) == (frozenset({CHAT}), 0)


async def test_it_is_asked_once_and_again_when_its_models_change() -> None:
    engine = Engine(VLLM, {})
    probe = AbilityProbe(engine.fetch, engine.post)
    for created in (1, 2):
        await probe.of([{"id": "m", "created": created}])
    assert engine.asked == ["api/show"]
    await probe.of([{"id": "m", "max_model_len": 5}, {"id": "n"}])
    assert engine.asked == ["api/show"] * 3
