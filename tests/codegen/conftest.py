from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

import pytest

from dc1.codegen.compile import compile_protos
from dc1.codegen.descriptors import Catalogue, load_catalogue

REPOSITORY = Path(__file__).parents[2]


@cache
def our_catalogue() -> Catalogue:
    """What our protos declare, read once in a process: that takes half a second, and their tests are made of it."""
    return load_catalogue((REPOSITORY / "gen/descriptors.binpb").read_bytes())


@pytest.fixture(scope="session")
def library_protos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of protos: our options and the small API of library.proto."""
    package = tmp_path_factory.mktemp("protos") / "dcp" / "v1"
    package.mkdir(parents=True)
    shutil.copy(REPOSITORY / "proto/dcp/v1/options.proto", package)
    shutil.copy(Path(__file__).with_name("library.proto"), package)
    return package.parents[1]


@pytest.fixture(scope="session")
def library_descriptors(library_protos: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return compile_protos(library_protos, tmp_path_factory.mktemp("compiled"))
