"""What `dc1 daemon --model` takes for a model, and what it says to the rest."""

import errno
import mmap
import os
import struct
from pathlib import Path

import pytest

from dc1.daemon.build import build_runners
from dc1.daemon.config import DaemonConfig
from dc1.daemon.errors import DaemonError
from dc1.daemon.runners.inference import gguf
from dc1.daemon.runners.inference.engine_llamacpp import bundled_model


def text(words: str) -> bytes:
    return struct.pack("<Q", len(words.encode())) + words.encode()


def entry(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def head(*entries: bytes, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, 0, len(entries)) + b"".join(entries)


ARCHITECTURE = entry("general.architecture", 8, text("llama"))
TAGS = entry("general.tags", 9, struct.pack("<IQ", 8, 2) + text("chat") + text("ar"))
NUMBERS = entry("general.layers", 9, struct.pack("<IQ", 5, 3) + struct.pack("<iii", 1, 2, 3))
SIZE = entry("general.size", 10, struct.pack("<Q", 2**40))
NAME = entry("general.name", 8, text("Falcon 7B \u0635\u0642\u0631"))
VOCABULARY = entry("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, 1) + text("a"))


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (head(ARCHITECTURE, TAGS, NUMBERS, SIZE, NAME), "Falcon 7B \u0635\u0642\u0631"),
        (head(NAME, version=2), "Falcon 7B \u0635\u0642\u0631"),
        (head(ARCHITECTURE, SIZE), "my-model"),
        (head(), "my-model"),
        (head(VOCABULARY, NAME), "my-model"),
        (head(entry("general.name", 8, text(" "))), "my-model"),
        (head(entry("general.name", 4, struct.pack("<I", 7))), "my-model"),
    ],
)
def test_a_model_is_named_by_its_maker_else_by_its_file(tmp_path: Path, content: bytes, name: str) -> None:
    file = tmp_path / "my-model.gguf"
    file.write_bytes(content)
    assert gguf.head(file) == gguf.Head(name, makes_vectors=False)


def test_what_says_how_vectors_are_pooled_was_made_to_make_them(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(head(NAME, entry("bert.pooling_type", 4, struct.pack("<I", 2))))
    assert gguf.head(file).makes_vectors


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is no GGUF file"),
        (b"PK\x03\x04 a model of another kind", "is no GGUF file"),
        (head(version=99), "is no GGUF file"),
        (b"GGUF", "was it downloaded as a whole"),
        (head(ARCHITECTURE, NAME)[:-3], "was it downloaded as a whole"),
        (head(entry("general.size", 77, b"")), "was it downloaded as a whole"),
        (head(entry("general.author", 8, struct.pack("<Q", 2**63))), "was it downloaded as a whole"),
        (head(entry("general.name", 8, struct.pack("<Q", 2) + b"\xff\xfe")), "was it downloaded as a whole"),
    ],
)
def test_what_is_no_model_is_refused_at_the_start(tmp_path: Path, content: bytes, sentence: str) -> None:
    file = tmp_path / "my-model.gguf"
    file.write_bytes(content)
    with pytest.raises(DaemonError, match=sentence):
        build_runners(DaemonConfig(key="dc1-provider-x", server="127.0.0.1:8083", model=file))


@pytest.mark.parametrize("name", ["missing.gguf", ".", "x" * 300])
def test_a_file_that_cannot_be_read_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(DaemonError, match=r"cannot be read: (No such file|Is a directory|File name too long)"):
        gguf.head(tmp_path / name)


def test_a_file_that_cannot_be_mapped_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on some file systems of networks, and of one that went away since its head was read."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENODEV, "No such device")

    monkeypatch.setattr(mmap, "mmap", refuse)
    file = tmp_path / "m.gguf"
    file.write_bytes(head())
    for path in (file, tmp_path / "missing.gguf"):
        with pytest.raises(DaemonError, match="cannot be read: No such"):
            gguf.require_whole(path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    with pytest.raises(DaemonError, match="is no file"):
        gguf.head(tmp_path / "pipe.gguf")


LISTS = entry("a.lists", 9, struct.pack("<IQ", 9, 2) + 2 * struct.pack("<IQH", 2, 1, 7))
ALIGNED = entry("general.alignment", 4, struct.pack("<I", 64))


@pytest.mark.parametrize("entries", [(), (ARCHITECTURE, TAGS, NUMBERS, SIZE, LISTS, VOCABULARY, NAME, ALIGNED)])
def test_a_file_that_was_cut_off_is_told_from_a_whole_one(tmp_path: Path, entries: tuple[bytes, ...]) -> None:
    tensors = [text(name) + struct.pack("<IQQIQ", 2, 4, 4, 0, offset) for name, offset in (("b", 64), ("a", 0))]
    told = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(entries)) + b"".join(entries) + b"".join(tensors)
    alignment = 64 if ALIGNED in entries else 32
    whole = told + bytes(-len(told) % alignment) + bytes(128)
    file = tmp_path / "m.gguf"
    file.write_bytes(whole)
    gguf.require_whole(file)
    for size in range(16, len(whole) - 64):
        file.write_bytes(whole[:size])
        with pytest.raises(DaemonError, match="was it downloaded as a whole"):
            gguf.require_whole(file)


def test_odd_heads_are_no_whole_files(tmp_path: Path) -> None:
    tensor = text("a") + struct.pack("<IQIQ", 1, 4, 0, 0)
    file = tmp_path / "m.gguf"
    for odd in (
        entry("general.alignment", 4, struct.pack("<I", 0)),
        entry("a", 9, struct.pack("<IQ", 5, 2**63)),
        entry("a", 9, struct.pack("<IQ", 99, 2)),
        entry("a", 8, struct.pack("<Q", 2**64 - 1)),
        entry("a", 77, b""),
        entry("a", 9, struct.pack("<IQ", 9, 1) * 5_000),
    ):
        file.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + odd + tensor + bytes(256))
        with pytest.raises(DaemonError, match="was it downloaded as a whole"):
            gguf.require_whole(file)


def test_the_bundled_model_is_whole() -> None:
    """Its vocabulary has 49,152 texts, and is gone through."""
    model = bundled_model()
    assert model is not None
    gguf.require_whole(model.file)
