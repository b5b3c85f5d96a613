"""Why a daemon ends by itself. Each text is a sentence for the person who started it."""


class DaemonError(Exception):
    """The daemon cannot go on; starting it again without a change would end the same way."""


class AccessDeniedError(DaemonError):
    """The server refused the key, or took back what it allowed."""


class ReplacedError(DaemonError):
    """Another daemon has connected with the same key."""
