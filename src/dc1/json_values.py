"""Plain JSON to and from google.protobuf.Value, at the ends of the daemon's stream."""

import math

from google.protobuf.struct_pb2 import NULL_VALUE, Value

from dc1.domain.base.json_types import MAX_EXACT_INTEGER, JsonValue


def fill(value: Value, plain: JsonValue) -> None:
    """Make a new Value what JSON says.

    A ValueError, TypeError or OverflowError of protobuf's says that it can say no such text or number. What JSON has no
    word for, such as NaN, is taken.
    """
    # In place: a message that is made before it is put into another is copied once for each level around it.
    if isinstance(plain, str):
        value.string_value = plain
    elif plain is None:
        value.null_value = NULL_VALUE
    # Before the numbers: a bool is an int to Python.
    elif isinstance(plain, bool):
        value.bool_value = plain
    elif isinstance(plain, int | float):
        value.number_value = plain
    elif isinstance(plain, dict):
        fields = value.struct_value.fields
        # Or an empty one would be nothing at all.
        value.struct_value.SetInParent()
        for name, item in plain.items():
            fill(fields[name], item)
    else:
        values = value.list_value.values
        value.list_value.SetInParent()
        for item in plain:
            fill(values.add(), item)


def read(value: Value) -> JsonValue:
    """Return the JSON of a Value, null for one that was not set; whole numbers come back as integers where all agree.

    Raises:
        ValueError: It holds an infinite number or NaN, which protobuf can carry and JSON cannot.
    """
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "number_value":
        number = value.number_value
        if not math.isfinite(number):
            raise ValueError("the value holds what is no JSON")
        return int(number) if number.is_integer() and abs(number) < MAX_EXACT_INTEGER else number
    if kind == "struct_value":
        return {name: read(item) for name, item in value.struct_value.fields.items()}
    if kind == "list_value":
        return [read(item) for item in value.list_value.values]
    return value.bool_value if kind == "bool_value" else None
