"""The OpenAPI document, which takes seconds to read with Python's own reader."""

from functools import cache
from typing import Any

import yaml

from dc1.assets import asset
from tests.stack.rest import Json

# The C reader is several times faster, and not built everywhere.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def document() -> Json:
    """The document as the repository keeps it, read once in a process."""
    return parse(asset("gen/openapi.yaml").read_text(encoding="utf-8"))


def parse(text: str) -> Json:
    """A document given as YAML."""
    parsed: Json = yaml.load(text, Loader=_Loader)
    return parsed
