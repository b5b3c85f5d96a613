"""What owners say of new machines."""

from typing import TypedDict

from google.protobuf.struct_pb2 import Value

from dc1.domain import errors
from dc1.domain.base.json_types import JsonValue, is_oversized
from dc1.domain.providers.reports import specified
from dc1.services.api.values import from_value
from dcp.v1 import provider_machines_pb2, provider_service_pb2

_MIB_PER_GIB = 1024
_LONGEST_MODEL = 120


class Declared(TypedDict):
    """The claims of a new machine."""

    gpu_model: str
    vram_mib: int | None
    gpu_count: int | None
    resource_spec: JsonValue


def declared(
    request: provider_service_pb2.RegisterProviderRequest | provider_machines_pb2.AddMachineRequest,
) -> Declared:
    """Return what is said of a new machine, by its own fields before its descriptions.

    Raises:
        invalid_field: It could not be kept and shown again as it is.
    """
    resource_spec = _resource_spec(request.resource_spec)
    gpu_spec = from_value(request.gpu_spec)
    if not (gpu_spec is None or isinstance(gpu_spec, dict)):
        raise errors.invalid_field("gpu_spec", "must be an object")
    described = specified(gpu_spec, resource_spec)
    if described.gpu_name is not None and len(described.gpu_name) > _LONGEST_MODEL:
        raise errors.invalid_field("gpu_spec.gpu_name", f"must be at most {_LONGEST_MODEL} characters")
    vram_mib = round(request.vram_gb * _MIB_PER_GIB) if request.HasField("vram_gb") else described.vram_mib
    return Declared(
        gpu_model=request.gpu_model or described.gpu_name or "",
        vram_mib=vram_mib,
        gpu_count=described.gpu_count,
        resource_spec=resource_spec,
    )


def _resource_spec(sent: Value) -> JsonValue:
    spec = from_value(sent)
    if not (spec is None or isinstance(spec, dict | str)):
        raise errors.invalid_field("resource_spec", "must be an object or a string")
    if is_oversized(spec):
        raise errors.invalid_field("resource_spec", "must be at most 256 KiB of JSON")
    return spec
