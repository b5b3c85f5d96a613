"""What ends a command early."""

from typing import Any


class CommandError(Exception):
    """A command cannot go on; its text is the one sentence that its user reads."""

    def __init__(self, text: str, exit_status: int = 1) -> None:
        super().__init__(text)
        self.exit_status = exit_status


class RefusedError(CommandError):
    """The service answered with an error.

    Attributes:
        status: the HTTP status, 400 to 599.
        body: the JSON object of the answer.
    """

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(_sentence(status, body))
        self.status = status
        self.body = body


# What every error has; all other keys are facts of the route, such as the balance that did not suffice.
_NOT_CONTEXT = frozenset({"error", "code", "fields", "retryAfterMs"})


def _sentence(status: int, body: dict[str, Any]) -> str:
    text = str(body.get("error") or "The service gave no reason").rstrip(".")
    fields = [f"{field.get('field')}: {field.get('message')}" for field in body.get("fields") or []]
    context = [
        f"{key} {value}" for key, value in body.items() if key not in _NOT_CONTEXT and isinstance(value, int | str)
    ]
    details = "; ".join(fields or context)
    return f"{text} (HTTP {status}; {details})." if details else f"{text} (HTTP {status})."
