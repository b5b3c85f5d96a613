"""Why a daemon ends by itself. Each text is a sentence for the person who started it."""


class DaemonError(Exception):
    """The daemon cannot go on; starting it again without a change would end the same way."""

    exit_status = 1
    """What the process ends with."""


class AccessDeniedError(DaemonError):
    """The server refused the key, or took back what it allowed."""


class KeyInUseError(DaemonError):
    """Another daemon is connected with the same key."""

    # EX_CONFIG, which `ops/systemd/dc1-daemon.service` names: a unit that started it again would do so for ever.
    exit_status = 78


class ReplacedError(KeyInUseError):
    """Another daemon has taken this one's place."""
