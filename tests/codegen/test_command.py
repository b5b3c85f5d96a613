"""`python -m dc1.codegen`: what it writes, and what it says of stale output."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dc1.codegen.__main__ import generate, stale, update


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dc1.codegen", *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.fixture(scope="module")
def generated(library_protos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("generated")
    generate(library_protos, out)
    return out


def test_writes_modules_stubs_descriptors_and_document(generated: Path) -> None:
    names = {path.relative_to(generated).as_posix() for path in generated.rglob("*") if path.is_file()}
    modules = {f"dcp/v1/library_pb2{suffix}" for suffix in (".py", ".pyi", "_grpc.py", "_grpc.pyi")}
    assert names >= modules | {
        "descriptors.binpb",
        "edge.lua",
        "openapi.yaml",
        "dcp/__init__.py",
        "dcp/v1/__init__.py",
        "dcp/py.typed",
    }
    assert not (generated / "dcp/v1/options_pb2_grpc.py").exists()


def test_the_same_protos_give_the_same_bytes(library_protos: Path, generated: Path, tmp_path: Path) -> None:
    generate(library_protos, tmp_path)
    assert stale(tmp_path, generated) == []


def test_update_removes_what_is_no_longer_generated(generated: Path, tmp_path: Path) -> None:
    (tmp_path / "dcp").mkdir()
    (tmp_path / "dcp" / "gone_pb2.py").write_text("")
    update(generated, tmp_path)
    assert stale(generated, tmp_path) == []


def test_check_names_the_stale_files_and_writes_nothing(library_protos: Path, generated: Path, tmp_path: Path) -> None:
    update(generated, tmp_path)
    assert run("--protos", library_protos, "--check", tmp_path).returncode == 0
    (tmp_path / "openapi.yaml").write_text("old")
    answer = run("--protos", library_protos, "--check", tmp_path)
    assert answer.returncode == 1
    assert "is stale: run `make gen` and commit the result (openapi.yaml)." in answer.stderr
    assert (tmp_path / "openapi.yaml").read_text() == "old"


def test_broken_protos_leave_the_output_alone(generated: Path, tmp_path: Path) -> None:
    protos, out = tmp_path / "protos", tmp_path / "out"
    protos.mkdir()
    (protos / "broken.proto").write_text('syntax = "proto3"; message {}')
    update(generated, out)
    answer = run("--protos", protos, out)
    assert answer.returncode == 1
    assert "broken.proto:1" in answer.stderr
    assert stale(generated, out) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (('message: "dcp.v1.Book"', 'message: "dcp.v1.Bonk"'), "an option names dcp.v1.Bonk"),
        (('put: "/books"', 'get: "/books"'), "GET /books is declared twice"),
        (("/books/{id}/words", "/books/{isbn}/words"), "a route names the field isbn"),
        (("(error_statuses) = 409", "(error_statuses) = 418"), "error status 418"),
    ],
)
def test_declarations_that_make_no_sense_are_refused(
    library_protos: Path, tmp_path: Path, change: tuple[str, str], complaint: str
) -> None:
    package, out = tmp_path / "protos/dcp/v1", tmp_path / "out"
    package.mkdir(parents=True)
    out.mkdir()
    for source in library_protos.rglob("*.proto"):
        (package / source.name).write_text(source.read_text().replace(*change))
    with pytest.raises((LookupError, ValueError), match=complaint):
        generate(tmp_path / "protos", out)
