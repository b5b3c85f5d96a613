"""A submission, put together from a command line."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dc1.cli.errors import CommandError
from dc1.os_errors import reason_of


def job_request(
    *,
    body_file: str | None,
    params_json: str | None,
    prompt: str | None,
    image: str | None,
    command: str | None,
    gpu_type: str | None,
    fields: Mapping[str, Any],
) -> dict[str, Any]:
    """Build the body of `POST /jobs/submit`.

    Args:
        body_file: a file that holds a whole request, `-` for stdin; everything else is laid over it.
        params_json: further `params`, as JSON.
        prompt: `params.prompt`.
        image: a container image; the job is a `custom_container` unless `fields` says otherwise.
        command: what to run in the container.
        gpu_type: `gpu_requirements.gpu_type`.
        fields: top-level fields; those that are None are left out.

    Raises:
        CommandError: there is nothing to run, or a file or text is not a JSON object.
    """
    if not (body_file or params_json or prompt or image or fields["job_type"]):
        raise CommandError("There is nothing to run: give a prompt, --image, --type or --body.")
    request = _object(_read(body_file), body_file) if body_file else {}
    # Options over the file; the defaults below only where neither says anything.
    request |= {name: value for name, value in fields.items() if value is not None}
    _merge(request, "params", {**(_object(params_json, "--params") if params_json else {}), "prompt": prompt})
    _merge(request, "gpu_requirements", {"gpu_type": gpu_type})
    if image is not None:
        # An image alone means this; who renders or trains with it says so by --type.
        request.setdefault("job_type", "custom_container")
        _merge(request, "container_spec", {"image_type": "custom_container", "image": image, "job_cmd": command})
    request.setdefault("job_type", "llm_inference")
    request.setdefault("duration_minutes", 1)
    return request


def _merge(request: dict[str, Any], key: str, values: Mapping[str, Any]) -> None:
    given = {name: value for name, value in values.items() if value is not None}
    if not given:
        return
    held = request.get(key) or {}
    if not isinstance(held, dict):
        raise CommandError(f"{key} in --body must be a JSON object where options say more of it.")
    # Laid over and not put in place: the file may hold what no option names.
    request[key] = {**held, **given}


def _read(name: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{name} cannot be read: {reason_of(error)}.") from None


def _object(text: str, name: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise CommandError(f"{name} is not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise CommandError(f"{name} must hold a JSON object.")
    return value
