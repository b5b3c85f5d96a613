"""What the operating system says of a failure, as a person reads it."""


def reason_of(error: Exception) -> str:
    """Return why a file or an address could not be used, for example `No such file or directory`."""
    # Its own text would be `[Errno 2] No such file or directory: '/etc/x'`, and the sentence around it has the name.
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    # Bytes and positions help nobody who has named a picture by mistake.
    return "it is not text in UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def file_and_reason(error: Exception) -> str:
    """Return which file could not be used and why, for sentences that name none."""
    file = error.filename if isinstance(error, OSError) else None
    return reason_of(error) if file is None else f"{file}: {reason_of(error)}"
