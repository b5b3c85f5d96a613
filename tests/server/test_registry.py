"""The table of servicers: every service of the protocol is in it, and every method is answered by one part."""

from collections import Counter
from typing import Any

import pytest
from google.protobuf.descriptor import ServiceDescriptor

from dc1.assets import asset
from dc1.codegen.descriptors import load_catalogue
from dc1.server.registry import SERVICERS, Service
from dc1.services.api.parts import ServicerPart


def servicer(make: Any) -> type:
    """The class that an entry of the table builds; one builds it by a class method."""
    cls = getattr(make, "__self__", make)
    assert isinstance(cls, type)
    return cls


CLASSES = [servicer(make) for make in SERVICERS]


def described(cls: type) -> ServiceDescriptor:
    base = next(base for base in cls.__mro__ if base.__module__.endswith("_pb2_grpc"))
    return Service.of(None, base).descriptor


def test_every_service_of_the_protocol_has_a_servicer() -> None:
    catalogue = load_catalogue(asset("gen/descriptors.binpb").read_bytes())
    assert sorted(described(cls).full_name for cls in CLASSES) == sorted(catalogue.services)


@pytest.mark.parametrize("cls", CLASSES)
def test_every_method_is_answered_by_a_part(cls: type) -> None:
    for method in described(cls).methods:
        answering = next(base for base in cls.__mro__ if method.name in vars(base))
        assert answering.__module__.startswith("dc1."), method.full_name


@pytest.mark.parametrize("cls", CLASSES)
def test_no_part_hides_a_name_of_another(cls: type) -> None:
    parts = [base for base in cls.__mro__ if base.__module__.startswith("dc1.") and base is not ServicerPart]
    names = Counter(name for base in parts for name in vars(base) if not name.startswith("__"))
    assert [name for name, times in names.items() if times > 1] == []
