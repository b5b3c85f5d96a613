"""What an engine's models can do, asked of it in the ways of those that say so, and else tried out."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from dc1.daemon.runners.inference.discovery.answers import (
    Fetch,
    Post,
    count_in,
    object_in,
    object_of,
    texts_in,
)
from dc1.domain.base.json_types import JsonObject
from dc1.domain.providers.model_abilities import EnginePath, Feature, ModelAbilities

_LOOK_SECONDS = 8.0
_MOST_MODELS = 64
"""Of one that offers more, the rest is taken to chat and no more."""

# What an engine says of a call with nothing in it, where it has the path: that something is missing. Some call that a
# fault of their own.
_MISSING = frozenset({400, 415, 422, 500})
_OK = 200
_OF_MODELS = ("max_model_len", "context_length", "context_window", "max_context_length")
_SCHEMAS_BY_OWNER = frozenset({"vllm", "sglang", "llamacpp"})
# What these take costs an engine next to nothing, and some have the path for models that cannot do it.
_TRIALS: tuple[tuple[EnginePath, JsonObject], ...] = (
    (EnginePath.EMBEDDINGS, {"input": "a"}),
    (EnginePath.RERANK, {"query": "a", "documents": ["a"]}),
)
_WORD: JsonObject = {"messages": [{"role": "user", "content": "a"}], "max_tokens": 1}
_OLLAMA: dict[str, tuple[str, ...]] = {
    "completion": (EnginePath.CHAT, EnginePath.COMPLETIONS, Feature.STRUCTURED_OUTPUTS),
    "embedding": (EnginePath.EMBEDDINGS,),
    "insert": (Feature.INFILL,),
    "thinking": (Feature.REASONING,),
    "tools": (Feature.TOOLS,),
}


class AbilityProbe:
    """What is known of one engine's models; asked once, and again after its list of them has changed."""

    def __init__(self, fetch: Fetch, post: Post) -> None:
        self._fetch = fetch
        self._post = post
        self._entries: list[dict[str, Any]] = []
        self._known: dict[str, ModelAbilities] = {}
        self._paths: frozenset[str] | None = None
        self.fills_in = False
        """Whether a text is filled in by llama.cpp's own path, as it passes over a suffix."""

    def forget(self) -> None:
        """Ask anew: the engine was away, and may be another one by now."""
        self._entries, self._known, self._paths, self.fills_in = [], {}, None, False

    async def of(self, entries: Sequence[dict[str, Any]]) -> dict[str, ModelAbilities]:
        """Return what is known of the models in an engine's list, by their names."""
        # Some write the time of the answer into it.
        listed = [{key: value for key, value in entry.items() if key != "created"} for entry in entries]
        if listed != self._entries:
            self.forget()
            self._entries = listed
        # What is not answered in time is asked at the next look.
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_SECONDS):
                for entry in listed[:_MOST_MODELS]:
                    if (name := str(entry.get("id"))) not in self._known:
                        self._known[name] = await self._asked(name, entry)
        return self._known

    async def _asked(self, model: str, entry: dict[str, Any]) -> ModelAbilities:
        shown = await self._post("api/show", {"model": model})
        if shown is not None and shown[0] == _OK and texts_in(said := object_of(shown[1]), "capabilities"):
            return _of_ollama(said)
        paths = ("props", "get_model_info", "model_info", "info")
        props, older, newer, info = [object_of(await self._fetch(path)) for path in paths]
        sglang = newer | older
        features = set(await self._features_of_llamacpp(props)) if "total_slots" in props else set()
        if str(entry.get("owned_by")) in _SCHEMAS_BY_OWNER or "max_total_tokens" in info:
            features.add(Feature.STRUCTURED_OUTPUTS)
        features |= {each for each in texts_in(entry, "supported_parameters") if each in set(Feature)}
        shape = object_in(entry, "architecture")
        inputs = {*texts_in(shape, "input_modalities"), *_true_in(object_in(props, "modalities"))} | _seen(sglang)
        return ModelAbilities.read(
            await self._paths_of(model, is_generating=sglang.get("is_generation") is not False),
            count_in(object_in(props, "default_generation_settings"), "n_ctx")
            or count_in(entry, *_OF_MODELS)
            or count_in(info, "max_total_tokens"),
            {"text", *inputs} - {"video"},
            texts_in(shape, "output_modalities"),
            features,
        )

    async def _features_of_llamacpp(self, props: dict[str, Any]) -> list[str]:
        found: list[str] = [Feature.STRUCTURED_OUTPUTS]
        template = str(props.get("chat_template"))
        caps = object_in(props, "chat_template_caps")
        if caps.get("supports_tools", "tools" in template) is True:
            found.append(Feature.TOOLS)
        if "<think>" in template or "enable_thinking" in template:
            found.append(Feature.REASONING)
        self.fills_in = True
        if await self._has("infill"):
            found.append(Feature.INFILL)
        return found

    async def _paths_of(self, model: str, *, is_generating: bool) -> list[str]:
        """Return the paths on which a model answers, of those that the engine has."""
        if self._paths is None:
            self._paths = await self._engine_paths()
        found = set(self._paths)
        tried = {path for path, body in _TRIALS if path in found and await self._answers(path, model, body)}
        if EnginePath.RERANK in tried and self.fills_in:
            # With llama.cpp what ranks makes vectors of one number, which are no embeddings.
            tried.discard(EnginePath.EMBEDDINGS)
        found = found - {path for path, _ in _TRIALS} | tried
        # Engines have paths for chats and serve models that cannot; most that make vectors are such.
        if not is_generating or (tried and not await self._answers(EnginePath.CHAT, model, _WORD)):
            return sorted(tried)
        return sorted(found)

    async def _engine_paths(self) -> frozenset[str]:
        described = object_in(object_of(await self._fetch("openapi.json")), "paths")
        listed = {path for path in EnginePath if path in described}
        if listed:
            return frozenset(listed)
        others = [path for path in EnginePath if path != EnginePath.CHAT]
        return frozenset({EnginePath.CHAT, *[path for path in others if await self._has(path.removeprefix("/"))]})

    async def _has(self, path: str) -> bool:
        return await self._status(path, {}) in _MISSING

    async def _answers(self, path: EnginePath, model: str, body: JsonObject) -> bool:
        return await self._status(path.removeprefix("/"), {"model": model, **body}) == _OK

    async def _status(self, path: str, body: JsonObject) -> int:
        said = await self._post(path, body)
        if said is None:
            # Busy, as a rule: that it cannot do it is said at once.
            raise TimeoutError
        return said[0]


def _of_ollama(said: dict[str, Any]) -> ModelAbilities:
    words = texts_in(said, "capabilities")
    found = {each for word in words for each in _OLLAMA.get(word, ())}
    # Without such a parameter it is the operator's setting, which is not said; the model's own length is longer.
    lines = (line.split() for line in str(said.get("parameters")).splitlines())
    length = next((int(line[1]) for line in lines if line[:1] == ["num_ctx"] and line[1:] and line[1].isdecimal()), 0)
    inputs = ["text", *(["image"] if "vision" in words else [])]
    paths, features = _split(found)
    return ModelAbilities.read(paths, length, inputs, (), features)


def _split(found: Iterable[str]) -> tuple[list[str], list[str]]:
    paths = [each for each in found if each in set(EnginePath)]
    return paths, [each for each in found if each in set(Feature)]


def _true_in(modalities: dict[str, Any]) -> set[str]:
    """Return what llama.cpp says that it reads, in the field's words."""
    return {{"vision": "image"}.get(name, name) for name, has in modalities.items() if has is True}


def _seen(sglang: dict[str, Any]) -> set[str]:
    kinds = {"has_image_understanding": "image", "has_audio_understanding": "audio"}
    return {kind for name, kind in kinds.items() if sglang.get(name) is True}
