"""The console: the files of web/, sent to browsers as they stand in the repository."""

from dc1.services.system.console.calls import ConsoleCalls, asset_path

__all__ = ["ConsoleCalls", "asset_path"]
