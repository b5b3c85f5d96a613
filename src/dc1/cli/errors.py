"""What ends a command early."""


class CommandError(Exception):
    """A command cannot go on; its text is the one sentence that its user reads."""

    def __init__(self, text: str, exit_status: int = 1) -> None:
        super().__init__(text)
        self.exit_status = exit_status
