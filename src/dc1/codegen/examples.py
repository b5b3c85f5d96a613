"""The worked calls that the protos carry."""

from __future__ import annotations

import json
import re
from typing import Any

from dc1.codegen.descriptors import Node


def examples(method: Node, part: str) -> dict[str, Any]:
    """The worked requests or responses of a method, by a slug of their names.

    Raises:
        ValueError: An example is not JSON.
    """
    found = {}
    for example in method.option("dcp.v1.examples", ()):
        if example.get(part):
            slug = re.sub(r"[^\w']+", "-", example["name"]).replace("'", "").strip("-").lower()
            found[slug] = {"summary": example["name"], "value": json.loads(example[part])}
    return found
