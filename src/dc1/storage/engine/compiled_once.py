"""What SQLAlchemy compiles, shared by all engines of a process."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Compiled
from sqlalchemy.util import LRUCache


class _CompiledOnce(LRUCache[Any, Compiled]):
    """What SQLAlchemy compiled, found by whatever speaks the same dialect.

    Every engine has a dialect of its own, and SQLAlchemy's cache knows a statement by the object.
    """

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(_by_speech(key), default)

    def __getitem__(self, key: Any) -> Compiled:
        return super().__getitem__(_by_speech(key))

    def __setitem__(self, key: Any, value: Compiled) -> None:
        super().__setitem__(_by_speech(key), value)


def _by_speech(key: Any) -> Any:
    dialect, *statement = key
    # What is compiled differs by the server's version as well.
    return type(dialect), dialect.server_version_info, *statement


# SQLAlchemy's own measure, 500 for each engine, for those of a server and of a standby that it reads from.
_MOST_COMPILED = 2_000
COMPILED_ONCE: Mapping[str, Any] = {"compiled_cache": _CompiledOnce(_MOST_COMPILED)}
"""The execution options of an engine that shares what it compiles with the others of this process.

Those for reads and for writes have statements in common, and of whatever opens a database after another all are known:
a server that starts has 55, which are half of the CPU of its start.
"""
