"""The run of protoc: Python modules, type stubs and the descriptor set of everything under proto/."""

from __future__ import annotations

import sys
import sysconfig
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_tools import protoc
from protovalidate._gen.buf.validate import validate_pb

# Of the rules' proto file no package ships the source, only its descriptor: Python modules for it are generated beside
# ours.
_RULES = "buf/validate/validate.proto"
_OURS = "dcp/"


class CompileError(Exception):
    """protoc refused the protos; it has said why on standard error."""


def compile_protos(protos: Path, out: Path) -> bytes:
    """Write modules and stubs of all files under `protos` into `out`; one that does not compile raises CompileError.

    Returns:
        The serialized FileDescriptorSet with all imports; comments are kept for our own files only.
    """
    # Sorted, as the order of the descriptor set is that of the arguments.
    files = sorted(path.relative_to(protos).as_posix() for path in protos.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as scratch:
        imports = Path(scratch, "imports.binpb")
        imports.write_bytes(_rules_descriptors())
        result = Path(scratch, "all.binpb")
        search = [f"-I{protos}", f"--descriptor_set_in={imports}", *_packaged_protos()]
        # In three runs: a generator knows only the files it is asked for, and each needs others.
        _protoc(
            *search,
            "--fatal_warnings",
            f"--descriptor_set_out={result}",
            "--include_imports",
            "--include_source_info",
            *files,
        )
        _protoc(*search, *_python_plugins(out), *files, _RULES)
        _protoc(
            *search,
            f"--grpc_python_out={out}",
            f"--mypy_grpc_out=quiet:{out}",
            _plugin("mypy_grpc"),
            *_services(result),
        )
        descriptors = _without_foreign_comments(result.read_bytes())
    _make_packages(out)
    return descriptors


def _protoc(*arguments: str) -> None:
    # In this process: grpc_tools is protoc as a library, and ships no program.
    if protoc.main(["protoc", *arguments]) != 0:
        raise CompileError


def _packaged_protos() -> list[str]:
    """Return the search paths of google/protobuf and google/api, as their packages ship them."""
    return [f"-I{resources.files('grpc_tools') / '_proto'}", f"-I{sysconfig.get_path('purelib')}"]


def _plugin(name: str) -> str:
    # Beside our interpreter: the environment need not be active, and its scripts need not be on PATH.
    return f"--plugin=protoc-gen-{name}={Path(sys.executable).parent / f'protoc-gen-{name}'}"


def _python_plugins(out: Path) -> list[str]:
    return [f"--python_out={out}", f"--mypy_out=quiet:{out}", _plugin("mypy")]


def _rules_descriptors() -> bytes:
    """Return the descriptors of buf/validate/validate.proto and its imports, as protovalidate carries them."""
    descriptor_set = descriptor_pb2.FileDescriptorSet()
    pending, done = [validate_pb.desc()], set()
    while pending:
        file = pending.pop()
        if file.name not in done:
            done.add(file.name)
            descriptor_set.file.append(descriptor_pb2.FileDescriptorProto.FromString(file.proto.to_binary()))
            pending.extend(file.dependencies)
    return descriptor_set.SerializeToString()


def _services(descriptor_set: Path) -> list[str]:
    """Return the files that define services; for others the plugin would write modules without content."""
    files = descriptor_pb2.FileDescriptorSet.FromString(descriptor_set.read_bytes()).file
    return [file.name for file in files if file.service and file.name.startswith(_OURS)]


def _without_foreign_comments(data: bytes) -> bytes:
    # A pool without our options: where they are known, because a generated module is loaded, they are written
    # differently.
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(descriptor_pb2.DESCRIPTOR.serialized_pb)
    message_class: Any = message_factory.GetMessageClass(
        pool.FindMessageTypeByName("google.protobuf.FileDescriptorSet")
    )
    descriptor_set = message_class.FromString(data)
    # Nothing shows them, and they would make the set that every server loads larger.
    for file in descriptor_set.file:
        if not file.name.startswith(_OURS):
            file.ClearField("source_code_info")
    # The bytes are compared with those that were committed.
    serialized: bytes = descriptor_set.SerializeToString(deterministic=True)
    return serialized


def _make_packages(out: Path) -> None:
    """Make `dcp` a typed package; `buf` stays a namespace that other distributions may share."""
    root = out / "dcp"
    for directory in (root, *(path for path in root.rglob("*") if path.is_dir())):
        (directory / "__init__.py").touch()
    (root / "py.typed").touch()
    (out / "buf" / "validate" / "py.typed").touch()
