"""The mail server of a market, as its operator names it."""

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

# Encrypted either way: passwords and what accounts do are nobody's on the road.
_PORTS = {"smtps": 465, "smtp+starttls": 587}
_ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in, by whom, and whom it is from. `starttls` is whether TLS begins by that command."""

    host: str
    port: int
    sender: str
    starttls: bool
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, url: str, sender: str) -> "MailServer":
        """Read an address like `smtps://user:password@host:465`.

        Raises:
            ValueError: It is none; the text says no part of it, as one is a password.
        """
        try:
            parts = urlsplit(url)
            port, host = parts.port, parts.hostname
        except ValueError:
            port, host, parts = None, None, urlsplit("")
        if parts.scheme not in _PORTS or not host or parts.path not in {"", "/"} or parts.query or parts.fragment:
            raise ValueError("must be like smtps://user:password@host:465 or smtp+starttls://user:password@host:587")
        if (parts.username is None) != (parts.password is None):
            raise ValueError("must have both a user and a password, or neither")
        user, password = (None if text is None else unquote(text) for text in (parts.username, parts.password))
        return cls(host, port or _PORTS[parts.scheme], sender, parts.scheme == "smtp+starttls", user, password)


def is_mail_address(text: str) -> bool:
    """Tell whether a text is one address of one mailbox and nothing beside it."""
    return _ADDRESS.fullmatch(text) is not None
