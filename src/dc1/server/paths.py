"""What the path of a REST call says of its request."""

import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import unquote

from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

# The stubs know no extensions of other packages.
_HTTP: Final[Any] = annotations_pb2.http
_VARIABLE = re.compile(r"\\{(\w+)\\}")


def path_patterns(method: MethodDescriptor) -> tuple[re.Pattern[str], ...]:
    """Return a pattern for each REST path of `method` that has variables; its groups are the fields they fill."""
    rule: http_pb2.HttpRule = method.GetOptions().Extensions[_HTTP]
    templates = [
        getattr(binding, binding.WhichOneof("pattern") or "get") for binding in (rule, *rule.additional_bindings)
    ]
    return tuple(
        re.compile(_VARIABLE.sub(r"(?P<\1>[^/]+)", re.escape(template))) for template in templates if "{" in template
    )


def fill_from_path(request: Message, patterns: Sequence[re.Pattern[str]], path: str) -> None:
    """Set the fields that `path` names, which may end in a query.

    The edge's transcoder lets the query and the body of a request overwrite them, so that a call for one object, in
    every log, would act on another.
    """
    bare = path.partition("?")[0]
    for pattern in patterns:
        found = pattern.fullmatch(bare)
        if found is not None:
            for name, value in found.groupdict().items():
                setattr(request, name, unquote(value))
            return
