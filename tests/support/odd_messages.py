"""Made-up messages of the protocol: every field that a descriptor has, with the values that hurt."""

from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

M = TypeVar("M", bound=Message)

_DEEPEST = 5
_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
    # Open enums: a newer peer sends numbers that have no name here.
    FieldDescriptor.CPPTYPE_ENUM: (-(2**31), 2**31 - 1),
}
_TEXTS = st.text(max_size=40) | st.sampled_from(
    ["\x00", "\u202e", "x" * 5_000, "../../etc/passwd", "NaN", "generating", "llm_inference", "1e999", "\ufffd"]
)


def messages(kind: type[M], names: tuple[str, ...] = ()) -> st.SearchStrategy[M]:
    """Messages of a kind; among its texts are `names`, so that some of them are about what exists."""
    return _of(kind.DESCRIPTOR, names, 0)


def _of(descriptor: Any, names: tuple[str, ...], depth: int) -> st.SearchStrategy[Any]:
    if depth > _DEEPEST:
        return st.builds(GetMessageClass(descriptor))
    # Made only when they are drawn: messages may hold themselves.
    fields = {field.name: _later(field, names, depth) for field in descriptor.fields}

    @st.composite
    def made(draw: st.DrawFn) -> Message:
        message = GetMessageClass(descriptor)()
        for name in draw(st.lists(st.sampled_from(sorted(fields)), unique=True, max_size=8) if fields else st.just([])):
            message.MergeFrom(draw(fields[name]))
        return message

    return made()


def _later(field: FieldDescriptor, names: tuple[str, ...], depth: int) -> st.SearchStrategy[Any]:
    return st.deferred(lambda: _field(field, names, depth))


def _field(field: FieldDescriptor, names: tuple[str, ...], depth: int) -> st.SearchStrategy[Any]:
    """Messages in which that field alone is set."""
    owner: Any = GetMessageClass(field.containing_type)  # type: ignore[arg-type]  # a field stands in a message
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        value = field.message_type.fields_by_name["value"]
        values = _of(value.message_type, names, depth + 1) if value.message_type is not None else _TEXTS

        def mapped(key: str, item: Any) -> Message:
            message: Message = owner()
            entries = getattr(message, field.name)
            if isinstance(item, Message):
                entries[key].CopyFrom(item)
            else:
                entries[key] = item
            return message

        return st.builds(mapped, _TEXTS, values)
    single = _of(field.message_type, names, depth + 1) if field.message_type is not None else _scalar(field, names)
    if field.is_repeated:
        return st.builds(lambda items: owner(**{field.name: items}), st.lists(single, max_size=4))
    return st.builds(lambda item: owner(**{field.name: item}), single)


def _scalar(field: FieldDescriptor, names: tuple[str, ...]) -> st.SearchStrategy[Any]:
    kind = field.cpp_type
    if kind in _INTEGERS:
        least, most = _INTEGERS[kind]
        return st.sampled_from([0, 1, 2, least, most]) | st.integers(least, most)
    if kind in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
        return st.floats(width=32 if kind == FieldDescriptor.CPPTYPE_FLOAT else 64)
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return st.booleans()
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=64)
    return st.sampled_from(names) | _TEXTS if names else _TEXTS
