"""Where a program that looks for faults lets things happen."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def evidence(prefix: str) -> Iterator[Path]:
    """A new directory, removed at the end; kept when the block ends by an exception, SystemExit included."""
    directory = Path(tempfile.mkdtemp(prefix=prefix))
    yield directory
    shutil.rmtree(directory)
