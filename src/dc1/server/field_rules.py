"""What is done to the fields of a request, and checked of them, before a servicer sees it."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Value
from protovalidate import Validator, Violation

from buf.validate import validate_pb2
from dc1.domain.errors import FieldViolation, invalid_enum, missing_fields, validation_failed
from dcp.v1 import options_pb2

_ENUM_RULE = "string.in"
_LONGEST_MESSAGE = 160
_BLANK = Value(string_value="")
# Their content has no rules that a field could declare.
_FREE_JSON = frozenset({"google.protobuf.Value", "google.protobuf.Struct", "google.protobuf.ListValue"})
_FLOATS = (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Names of the fields of one message type that want something, in the order of the message.

    `spelled` are those that JSON spells in a way of their own.
    """

    trimmed: tuple[str, ...]
    lowered: tuple[str, ...]
    required: tuple[str, ...]
    floats: tuple[str, ...]
    free: tuple[str, ...]
    spelled: Mapping[str, str]


class FieldRules:
    """Applies the rules that message types declare in their field options."""

    def __init__(self) -> None:
        self._validator = _validator()
        self._plans: dict[str, _Plan] = {}

    def apply(self, request: Message) -> None:
        """Trim and lower-case what asks for it, then check the rules.

        Of several faults the first in this order is told.

        Raises:
            missing_fields: Required fields are missing.
            validation_failed: Rules are broken.
            invalid_enum: A value is not on its list.
        """
        plan = self._plan(request)
        _tidy(request, plan)
        missing = [name for name in plan.required if _is_missing(request, name)]
        if missing:
            raise missing_fields(missing)
        violations = self._validator.collect_violations(_without_free_json(request, plan))
        unlisted = [violation for violation in violations if violation.proto.rule_id == _ENUM_RULE]
        broken = dict.fromkeys(_not_finite(request, plan), "must be a finite number")
        for violation in violations:
            if violation.proto.rule_id != _ENUM_RULE:
                broken.setdefault(_dotted(violation, plan), _message(violation))
        if broken:
            raise validation_failed(FieldViolation(name, message) for name, message in broken.items())
        if unlisted:
            raise invalid_enum(_dotted(unlisted[0], plan), unlisted[0].rule_value)

    def _plan(self, request: Message) -> _Plan:
        name = request.DESCRIPTOR.full_name
        # Reading options costs more than most requests, and a message type's never change.
        plan = self._plans.get(name)
        if plan is None:
            plan = self._plans[name] = _read(request)
        return plan


@cache
def _validator() -> Validator:
    # Of the process: it compiles the rules of a message type at its first request, in 10 to 40 ms, and those
    # rules are the same at every server.
    return Validator()


def _read(request: Message) -> _Plan:
    fields = [(field, field.GetOptions().Extensions[validate_pb2.field]) for field in request.DESCRIPTOR.fields]
    return _Plan(
        trimmed=tuple(field.name for field, _ in fields if field.GetOptions().Extensions[options_pb2.trim]),
        lowered=tuple(field.name for field, rules in fields if rules.string.email),
        required=tuple(field.name for field, rules in fields if rules.required),
        floats=tuple(field.name for field, _ in fields if field.cpp_type in _FLOATS and not field.is_repeated),
        free=tuple(
            field.name
            for field, _ in fields
            if field.message_type and field.message_type.full_name in _FREE_JSON and not field.is_repeated
        ),
        spelled={field.name: field.json_name for field, _ in fields if field.json_name != _camel(field.name)},
    )


def _without_free_json(request: Message, plan: _Plan) -> Message:
    """Return the request with free JSON present but empty: the validator would walk all of it, many seconds a MiB."""
    sent = [name for name in plan.free if request.HasField(name)]
    if not sent:
        return request
    bare = type(request)()
    bare.CopyFrom(request)
    for name in sent:
        free: Message = getattr(bare, name)
        free.Clear()
        free.SetInParent()
    return bare


def _camel(name: str) -> str:
    """Return the JSON name of a field that is given none.

    The edge prints and documents the field's own name instead.
    """
    return re.sub("_+([a-z0-9])", lambda match: match[1].upper(), name)


def _tidy(request: Message, plan: _Plan) -> None:
    for name in plan.trimmed:
        if request.HasField(name):
            setattr(request, name, getattr(request, name).strip())
    for name in plan.lowered:
        if request.HasField(name):
            setattr(request, name, getattr(request, name).lower())


def _is_missing(request: Message, name: str) -> bool:
    field = request.DESCRIPTOR.fields_by_name[name]
    value = getattr(request, name)
    if field.is_repeated:
        return not value
    if field.has_presence and not request.HasField(name):
        return True
    # A free value is there or not by what it holds: null and blank text say as little as nothing.
    if isinstance(value, Value):
        return value.WhichOneof("kind") in (None, "null_value") or value.string_value.isspace() or value == _BLANK
    return isinstance(value, str) and not value.strip()


def _not_finite(request: Message, plan: _Plan) -> Iterator[str]:
    # JSON has no NaN, but the transcoder reads the strings "NaN" and "Infinity" as numbers.
    return (name for name in plan.floats if not math.isfinite(getattr(request, name)))


def _message(violation: Violation) -> str:
    message = violation.proto.message
    # A grammar of hundreds of characters tells nobody what to write instead; the documentation has it beside examples.
    return message if len(message) <= _LONGEST_MESSAGE else "does not have the documented form"


def _dotted(violation: Violation, plan: _Plan) -> str:
    path = violation.proto.field
    parts: list[str] = []
    for element in path.elements if path else ():
        name = element.field_name
        parts.append(name if parts else plan.spelled.get(name, name))
        if element.subscript is not None:
            parts.append(str(element.subscript.value))
    return ".".join(parts)
