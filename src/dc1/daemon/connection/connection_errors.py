"""What keeps a daemon from connecting, in words for the person behind it."""

_WORDS = {
    "WRONG_VERSION_NUMBER": "the server speaks no TLS on this port: start the daemon without --tls, or name the port that does",
    "CERTIFICATE_VERIFY_FAILED": "the server's certificate is not trusted: --ca-file can name one that is",
    "Hostname Verification Check failed": "the server's certificate is for another name than the one in --server",
    "Connection refused": "nothing listens at that address",
    "Domain name not found": "there is no host of that name",
}
"""What signs in the reports of gRPC's core mean."""


def in_words(details: str, *, tls: bool) -> str:
    """Return what the details of a failed connection mean, or the details themselves where that is not known."""
    if not details.startswith(("failed to connect", "errors resolving")):
        return details
    if not tls and "Socket closed" in details:
        return "the server hangs up at once: it may speak TLS only, which needs --tls"
    return next((words for sign, words in _WORDS.items() if sign in details), details)
