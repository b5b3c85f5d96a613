"""The words of the page in each of its languages, and those of the document where it is in another."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import yaml

# The number of an alias, which does what the operation does.
_ALIAS = "_"


@dataclass(frozen=True, slots=True)
class Words:
    """One language.

    `summaries` are by operation id. `texts` are by what the document says of a route in a paragraph, of a field, a
    parameter or an answer. Both are empty where the document is in this language.
    """

    code: str
    direction: str
    other: tuple[str, str]
    page: Mapping[str, str]
    roles: Mapping[str, str]
    routes: Mapping[str, str]
    rules: Mapping[str, str]
    summaries: Mapping[str, str]
    texts: Mapping[str, str]
    script: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        return self.page[name]

    def summary(self, operation: dict[str, Any]) -> str:
        """Return what a route does, in a line."""
        name = str(operation["operationId"])
        found = self.summaries.get(name) or self.summaries.get(name.rpartition(_ALIAS)[0])
        return found or str(operation["summary"])


@cache
def words(language: str) -> Words:
    """Return a language by its code, `en` or `ar`."""
    directory = files(__package__)
    text = yaml.safe_load(directory.joinpath(f"words.{language}.yaml").read_text(encoding="utf-8"))
    translated = directory.joinpath(f"summaries.{language}.yaml")
    summaries = yaml.safe_load(translated.read_text(encoding="utf-8")) if translated.is_file() else {}
    return Words(
        code=language,
        direction=text["direction"],
        other=(text["other"]["path"], text["other"]["name"]),
        page=text["page"],
        roles=text["roles"],
        routes=text["routes"],
        rules=text["rules"],
        summaries=summaries,
        texts=_texts(directory.joinpath("texts"), f".{language}.yaml"),
        script=text["script"],
    )


def _texts(directory: Traversable, ending: str) -> dict[str, str]:
    found: dict[str, str] = {}
    # A file a service, and one for what several say.
    for file in directory.iterdir():
        if file.name.endswith(ending):
            found |= yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader)
    return found
