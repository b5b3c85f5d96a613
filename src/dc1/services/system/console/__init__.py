"""The console: the files of web/, sent to browsers as they stand in the repository."""

from dc1.services.system.console.calls import ConsoleCalls

__all__ = ["ConsoleCalls"]
