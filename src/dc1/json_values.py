"""Plain JSON into google.protobuf.Value, at both ends of the daemon's stream."""

from google.protobuf.struct_pb2 import NULL_VALUE, Value

from dc1.domain.base.json_types import JsonValue


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
