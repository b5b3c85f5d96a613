"""What owners say of new machines."""

from google.protobuf.struct_pb2 import Value

from dc1.domain import errors
from dc1.domain.base.json_types import JsonValue, is_oversized
from dc1.services.api.values import from_value
from dcp.v1 import provider_machines_pb2, provider_service_pb2

_MIB_PER_GIB = 1024


def declared_vram_mib(
    request: provider_service_pb2.RegisterProviderRequest | provider_machines_pb2.AddMachineRequest,
) -> int | None:
    """Return the VRAM that is said of a new machine, None where nothing is."""
    return round(request.vram_gb * _MIB_PER_GIB) if request.HasField("vram_gb") else None


def declared_spec(sent: Value) -> JsonValue:
    """Return what is said of a new machine.

    Raises:
        invalid_field: It could not be kept and shown again as it is.
    """
    spec = from_value(sent)
    if not (spec is None or isinstance(spec, dict | str)):
        raise errors.invalid_field("resource_spec", "must be an object or a string")
    if is_oversized(spec):
        raise errors.invalid_field("resource_spec", "must be at most 256 KiB of JSON")
    return spec
