"""A call of a route as its caller would write it: for a shell, for Node and for Python.

Where the market is and with which key are variables of the environment, so that a sample runs as it is and none shows a
key.
"""

import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

URL, KEY = "DC1_URL", "DC1_KEY"

# What stands for an id in a sample. A path's parameter that is not here is a number.
_PLACES: Mapping[str, str] = {
    "job_id": "job-1774206010000-ab12cd",
    "key_id": "key-1",
    "template_id": "vllm-serve",
    "model": "TinyLlama/TinyLlama-1.1B-Chat-v1.0",
    "gpu_model": "H100",
    "job_type": "llm_inference",
    "format": "png",
    "language": "ar",
}
_PARAMETER = re.compile(r"{(\w+)}")


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a route, as the samples show it. `body` is None for a call without one."""

    verb: str
    path: str
    has_key: bool
    body: Any = None
    media_type: str = "application/json"

    @classmethod
    def of(cls, verb: str, path: str, operation: dict[str, Any]) -> "Call":
        """Return the call of a route of an OpenAPI document, with the first worked body it has."""
        place = _PARAMETER.sub(lambda named: _PLACES.get(named[1], "1"), path)
        return cls(verb.upper(), place, bool(operation.get("security")), _body(operation.get("requestBody")))

    @property
    def url(self) -> str:
        """Its path; what a shell, JavaScript and Python would not take as it is does not occur in one."""
        return self.path.replace(" ", "%20")


def _body(request: dict[str, Any] | None) -> Any:
    """Return the first worked body, without the key that a daemon may send in it: the samples send it in a header."""
    if request is None:
        return None
    worked = [
        example["value"] for content in request["content"].values() for example in content.get("examples", {}).values()
    ]
    # A route that takes a body, but needs nothing of it.
    return {name: value for name, value in worked[0].items() if name != "api_key"} if worked else {}


def curl(call: Call) -> str:
    """Return the call for a shell."""
    parts = [f'curl -sS -X {call.verb} "${URL}{call.url}"']
    if call.has_key:
        parts.append(f'-H "Authorization: Bearer ${KEY}"')
    if call.body is not None:
        parts += [f"-H 'Content-Type: {call.media_type}'", f"-d {shlex.quote(_json(call.body))}"]
    return " \\\n  ".join(parts)


def node(call: Call) -> str:
    """Return the call for Node, which has `fetch` from version 18 on."""
    options = [f'  method: "{call.verb}",']
    headers = []
    if call.has_key:
        headers.append(f"Authorization: `Bearer ${{process.env.{KEY}}}`")
    if call.body is not None:
        headers.append(f'"Content-Type": "{call.media_type}"')
    if headers:
        options.append(f"  headers: {{ {', '.join(headers)} }},")
    if call.body is not None:
        options.append(f"  body: JSON.stringify({_indented(_json(call.body, 2))}),")
    shown = "\n".join(options)
    return (
        f"const response = await fetch(`${{process.env.{URL}}}{call.url}`, {{\n{shown}\n}});\n"
        "console.log(response.status, await response.text());"
    )


def python(call: Call) -> str:
    """Return the call for Python with the package requests."""
    given = [f'    "{call.verb}",', f'    os.environ["{URL}"] + "{call.url}",']
    if call.has_key:
        given.append(f'    headers={{"Authorization": "Bearer " + os.environ["{KEY}"]}},')
    if call.body is not None:
        given.append(f"    json={_indented(_literal(call.body))},")
    shown = "\n".join(given)
    return f"import os\n\nimport requests\n\nresponse = requests.request(\n{shown}\n)\nprint(response.status_code, response.text)"


LANGUAGES: Mapping[str, Callable[[Call], str]] = {"cURL": curl, "Node": node, "Python": python}


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _literal(value: Any) -> str:
    """Return a JSON value as Python writes it: only three words of JSON differ, and they stand outside texts."""
    words = {"true": "True", "false": "False", "null": "None"}
    # Texts are matched first and kept, so that no word in one is changed.
    return re.sub(r'"(?:[^"\\]|\\.)*"|true|false|null', lambda found: words.get(found[0], found[0]), _json(value, 4))


def _indented(block: str) -> str:
    first, *rest = block.split("\n")
    indent = "    " if rest and rest[0].startswith("    ") else "  "
    return "\n".join([first, *(indent + line for line in rest)])
