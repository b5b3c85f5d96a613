"""What each model of a provider can do, as its daemon learnt it of the engine that serves it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from dc1.domain.base.json_types import JsonObject, JsonValue

MAX_CONTEXT_LENGTH = 2**31 - 1
_MOST_WORDS = 32
_MOST_WORD = 64


class EnginePath(StrEnum):
    """Paths of engines' APIs to which calls under /v1 are carried; a daemon may name others, which nobody asks for."""

    CHAT = "/v1/chat/completions"
    COMPLETIONS = "/v1/completions"
    EMBEDDINGS = "/v1/embeddings"
    RERANK = "/v1/rerank"
    RESPONSES = "/v1/responses"
    MESSAGES = "/v1/messages"
    IMAGES = "/v1/images/generations"
    SPEECH = "/v1/audio/speech"
    TRANSCRIPTIONS = "/v1/audio/transcriptions"
    TRANSLATIONS = "/v1/audio/translations"


class Feature(StrEnum):
    """What a model can do beside answering on a path."""

    TOOLS = "tools"
    STRUCTURED_OUTPUTS = "structured_outputs"
    REASONING = "reasoning"
    INFILL = "infill"


@dataclass(frozen=True, slots=True)
class ModelAbilities:
    """What one model can do. `context_length` is in tokens, 0 where nobody says; the rest is in the field's words."""

    paths: frozenset[str] = frozenset({EnginePath.CHAT})
    context_length: int = 0
    input_modalities: frozenset[str] = frozenset({"text"})
    output_modalities: frozenset[str] = frozenset({"text"})
    features: frozenset[str] = frozenset()

    @classmethod
    def read(
        cls,
        paths: Iterable[str],
        context_length: int = 0,
        input_modalities: Iterable[str] = (),
        output_modalities: Iterable[str] = (),
        features: Iterable[str] = (),
    ) -> Self:
        """Return what a daemon says of a model, as far as it is believed."""
        return cls(
            _words(paths),
            max(0, min(context_length, MAX_CONTEXT_LENGTH)),
            _words(input_modalities) or cls().input_modalities,
            _words(output_modalities) or cls().output_modalities,
            _words(features),
        )

    @classmethod
    def stored(cls, said: JsonValue) -> Self:
        """Return abilities out of `as_json`."""
        found = said if isinstance(said, dict) else {}
        length = found.get("context_length")
        return cls.read(
            _texts(found.get("paths")),
            length if isinstance(length, int) else 0,
            _texts(found.get("input_modalities")),
            _texts(found.get("output_modalities")),
            _texts(found.get("features")),
        )

    @property
    def as_json(self) -> JsonObject:
        """The same as JSON."""
        return {
            "paths": [*sorted(self.paths)],
            "context_length": self.context_length,
            "input_modalities": [*sorted(self.input_modalities)],
            "output_modalities": [*sorted(self.output_modalities)],
            "features": [*sorted(self.features)],
        }

    def joined(self, other: Self) -> Self:
        """Return what a model can do that two providers have, whichever of them a call goes to.

        A call goes to who has its path, so that paths are those of either; nothing else is looked at, so that of the
        rest it is what both have, and the shorter context.
        """
        known = [length for length in (self.context_length, other.context_length) if length]
        return type(self)(
            self.paths | other.paths,
            min(known, default=0),
            self.input_modalities & other.input_modalities,
            self.output_modalities & other.output_modalities,
            self.features & other.features,
        )


CHAT_ALONE = ModelAbilities()
"""What is known of a model of which its daemon says nothing, as older ones do."""


@dataclass(frozen=True, slots=True)
class ServedPaths:
    """On which paths of its engine a provider's models answer; the models' names are in lower case.

    `told_of` are the models whose paths are known: any other one has chat alone.
    """

    pairs: frozenset[tuple[str, str]] = frozenset()
    told_of: frozenset[str] = frozenset()

    @classmethod
    def of(cls, abilities: Mapping[str, ModelAbilities]) -> Self:
        """Return those of models by their names in lower case."""
        pairs = ((model, path) for model, its in abilities.items() for path in its.paths)
        return cls(frozenset(pairs), frozenset(abilities))

    def has(self, model: str, path: str) -> bool:
        """Tell whether a model answers on a path."""
        return (model, path) in self.pairs or (path == EnginePath.CHAT and model not in self.told_of)


CHAT_PATHS = ServedPaths()


@dataclass(frozen=True, slots=True)
class KnownAbilities:
    """What a daemon says of its models, by their names in lower case, and which paths that comes to."""

    by_model: Mapping[str, ModelAbilities]
    paths: ServedPaths

    @classmethod
    def of(cls, by_model: Mapping[str, ModelAbilities]) -> Self:
        """Return what is known of these models."""
        return cls(by_model, ServedPaths.of(by_model))

    @classmethod
    def stored(cls, said: Mapping[str, JsonValue] | None) -> Self:
        """Return what `as_json` made of it."""
        return cls.of({model: ModelAbilities.stored(its) for model, its in (said or {}).items()})

    @property
    def as_json(self) -> JsonObject | None:
        """The same as JSON, None where nothing was said."""
        return {model: its.as_json for model, its in self.by_model.items()} or None

    def of_model(self, model: str) -> ModelAbilities:
        """Return what one model can do."""
        return self.by_model.get(model.lower(), CHAT_ALONE)


NOTHING_TOLD = KnownAbilities.of({})


def _words(said: Iterable[str]) -> frozenset[str]:
    # A daemon may say anything, and what it says is shown to everybody.
    words = [word for word in said if 0 < len(word) <= _MOST_WORD and word.isascii() and word.isprintable()]
    return frozenset(words[:_MOST_WORDS])


def _texts(said: JsonValue) -> list[str]:
    return [each for each in said if isinstance(each, str)] if isinstance(said, list) else []
