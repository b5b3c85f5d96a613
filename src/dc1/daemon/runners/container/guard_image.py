"""The image that guards run in: this daemon's own Python, as nothing can be pulled that everybody could trust."""

import contextlib
import hashlib
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from docker.errors import APIError, ImageNotFound

PROGRAM = "/guard.py"
"""Where the image has the guard's program."""

_REPOSITORY = "localhost/dc1-guard"
_SOURCE = Path(__file__).with_name("guard_program.py")
_MODULES = "errno, ipaddress, os, signal, socket, struct, sys"
# Prints what the interpreter was read from when it has imported them: its program, shared libraries, modules.
_LOOK = """
import os, sys, {modules}
mapped = {{line.split()[-1] for line in open("/proc/self/maps") if " r-xp " in line and "/" in line}}
modules = {{module.__file__ for module in list(sys.modules.values()) if getattr(module, "__file__", None)}}
print(os.path.realpath(sys.executable), *sorted(mapped | modules), sep="\\n")
"""
_LOADERS = ("ld-linux*", "ld-musl*")
_LOOK_SECONDS = 60


def interpreter() -> list[str]:
    """Return how the image's Python is started: isolated, and without the packages that it does not have."""
    return [os.path.realpath(sys.executable), "-I", "-S"]


def ensure_guard_image(client: Any) -> str:
    """Return the id of the guard's image, made if this engine has none of this daemon's version. Blocks.

    The engine's errors come through.
    """
    python = Path(interpreter()[0])
    version = hashlib.sha256(_SOURCE.read_bytes())
    version.update(f"{python} {python.stat().st_mtime_ns} {sys.version}".encode())
    tag = version.hexdigest()[:16]
    with contextlib.suppress(ImageNotFound):
        return str(client.images.get(f"{_REPOSITORY}:{tag}").id)
    for outdated in [name for image in client.images.list(name=_REPOSITORY) for name in image.tags]:
        # One that a container of another daemon still uses stays.
        with contextlib.suppress(APIError):
            client.images.remove(outdated)
    # Podman ignores the tag of an import.
    client.api.import_image_from_data(python_archive(_MODULES, {PROGRAM: _SOURCE}), repository=_REPOSITORY)
    made = client.images.get(f"{_REPOSITORY}:latest")
    made.tag(_REPOSITORY, tag)
    return str(made.id)


def python_archive(modules: str, files: Mapping[str, Path]) -> bytes:
    """Return a root file system with this interpreter, what it needs to import some modules, and some files more.

    `modules` are written as after `import`; `files` have their paths inside. Raises what `subprocess` does when the
    interpreter cannot be asked.
    """
    said = subprocess.run(
        [*interpreter(), "-c", _LOOK.format(modules=modules)],
        capture_output=True,
        text=True,
        check=True,
        timeout=_LOOK_SECONDS,
    ).stdout
    found = [Path(line) for line in said.splitlines() if Path(line).is_file()]
    wanted = {str(path): path for path in found}
    # Programs name the loader by a path that is a link on most systems, and libraries by their short names.
    wanted |= {str(link): link for place in ("/lib64", "/lib") for name in _LOADERS for link in Path(place).glob(name)}
    # An engine refuses an archive that has a path twice.
    wanted |= files
    links = {}
    for library in (path for path in found if ".so." in path.name):
        stem, _, version = library.name.partition(".so.")
        links[str(library.with_name(f"{stem}.so.{version.split('.')[0]}"))] = library.name
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", dereference=True) as tar:
        for name, path in sorted(wanted.items()):
            tar.add(path, name)
        for name, target in links.items():
            if name not in wanted:
                entry = tarfile.TarInfo(name)
                entry.type, entry.linkname = tarfile.SYMTYPE, target
                tar.addfile(entry)
        for name in ("proc", "dev", "sys", "etc", "tmp"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
    return archive.getvalue()
