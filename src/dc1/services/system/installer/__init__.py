"""What `curl …/install.sh | sh` is given: the script, and every file that it names with its hash."""

from dc1.services.system.installer.calls import InstallerCalls

__all__ = ["InstallerCalls"]
