"""The worked calls that the protos carry."""

from __future__ import annotations

import json
import re
from typing import Any

from dc1.codegen.descriptors import Node


def examples(method: Node, part: str) -> dict[str, Any]:
    """Return the worked requests or responses of a method, by a slug of their names.

    One that is no JSON raises ValueError.
    """
    found = {}
    for example in method.option("dcp.v1.examples", ()):
        if example.get(part):
            # Keys of examples become names in tools; an apostrophe is dropped, as what follows it belongs to the word.
            slug = re.sub(r"[^\w']+", "-", example["name"]).replace("'", "").strip("-").lower()
            found[slug] = {"summary": example["name"], "value": json.loads(example[part])}
    return found
