"""The OpenAPI document."""

from functools import cache

from dc1.assets import asset, parse_yaml
from dc1.testing.rest import Json


@cache
def document() -> Json:
    """The document as the repository keeps it, read once in a process."""
    parsed: Json = parse_yaml(asset("gen/openapi.yaml").read_bytes())
    return parsed
