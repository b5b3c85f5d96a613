from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dc1.codegen.compile import compile_protos

REPOSITORY = Path(__file__).parents[2]


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
