"""Every method of the protocol, as its descriptors have it."""

import importlib
import pkgutil

from google.protobuf.descriptor import MethodDescriptor

import dcp.v1


def _methods() -> list[MethodDescriptor]:
    modules = [importlib.import_module(f"dcp.v1.{module.name}") for module in pkgutil.iter_modules(dcp.v1.__path__)]
    files = [module.DESCRIPTOR for module in modules if hasattr(module, "DESCRIPTOR")]
    return [method for file in files for service in file.services_by_name.values() for method in service.methods]


METHODS = _methods()
