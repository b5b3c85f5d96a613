"""What the edge says of its own, held against the catalogue: a client cannot tell which of them refused a call."""

from typing import Any

import pytest
import yaml

from dc1.assets import asset
from dc1.domain import errors
from dc1.domain.errors import ApiError
from dc1.domain.errors.arabic import in_arabic
from dc1.domain.errors.openai import openai_envelope
from dc1.server.authentication import SECRET_HEADERS
from dcp.v1 import edge_pb2, error_pb2, options_pb2

REFUSALS = {
    value.name.removeprefix("EDGE_REFUSAL_"): value.GetOptions().Extensions[options_pb2.refusal]
    for value in edge_pb2.EdgeRefusal.DESCRIPTOR.values
}
ALSO_OF_THE_CATALOGUE = {
    "MALFORMED_JSON": errors.malformed_json(),
    "VALIDATION_FAILED": errors.validation_failed(()),
    "BODY_TOO_LARGE": errors.request_body_too_large(),
    "RATE_LIMITED": errors.rate_limit_exceeded(1),
    "INTERNAL_ERROR": errors.internal_error(),
    "UNAVAILABLE": errors.service_unavailable(),
}


def _reads(refusal: options_pb2.Refusal) -> options_pb2.Refusal:
    """The refusal itself, or the reason it names."""
    if not refusal.reason:
        return refusal
    reason = error_pb2.ErrorReason.DESCRIPTOR.values_by_name[f"ERROR_REASON_{refusal.reason}"]
    return reason.GetOptions().Extensions[options_pb2.refusal]


@pytest.mark.parametrize("name", ALSO_OF_THE_CATALOGUE)
def test_the_edge_and_the_catalogue_say_the_same(name: str) -> None:
    error: ApiError = ALSO_OF_THE_CATALOGUE[name]
    said, detail = _reads(REFUSALS[name]), openai_envelope(error)["error"]
    assert isinstance(detail, dict)
    assert (said.http_status, said.text, REFUSALS[name].reason) == (error.status, error.message, error.code or "")
    assert REFUSALS[name].openai_code == detail["code"]
    assert REFUSALS[name].text_ar == in_arabic(error)


def test_the_edge_says_all_of_it_in_arabic_too() -> None:
    silent = {name for name, refusal in REFUSALS.items() if not refusal.text_ar}
    assert silent == {"UNSPECIFIED"}


def test_envoys_own_replies_are_among_them() -> None:
    bootstrap = yaml.safe_load(asset("envoy/envoy.yaml").read_text(encoding="utf-8"))
    filters = bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"]
    mappers = filters[0]["typed_config"]["local_reply_config"]["mappers"]
    said = {text for mapper in mappers for text in _texts(mapper) if not text.startswith("%")}
    assert said == {_reads(REFUSALS[name]).text for name in ("NOT_FOUND", "UNAVAILABLE", "TIMEOUT", "INTERNAL_ERROR")}


def test_the_server_finds_keys_where_the_edge_puts_them() -> None:
    roles = [value.GetOptions().Extensions[options_pb2.carriers] for value in options_pb2.Role.DESCRIPTOR.values]
    moved = {f"x-query-{name.replace('_', '-')}" for role in roles for name in role.query_parameters}
    own = {name for role in roles for name in (role.header, role.v1_header) if name}
    assert {"authorization", *moved, *own} == SECRET_HEADERS


def _texts(mapper: dict[str, Any]) -> list[str]:
    inline = mapper.get("body", {}).get("inline_string")
    shape = mapper.get("body_format_override", {}).get("json_format", {})
    return [text for text in (inline, shape.get("error")) if text]
