"""Mails notifications by the operator's mail server."""

import asyncio
import ssl
from email.message import EmailMessage
from email.utils import format_datetime

import aiosmtplib
import httpx

from dc1.control.delivery.https_poster import UndeliveredError
from dc1.domain.base.clock import to_datetime
from dc1.domain.base.languages import Language
from dc1.mail_server import MailServer

_SUBJECT_LETTERS = 100


class MailError(UndeliveredError):
    """A mail that was not taken; the text says why and nothing of the mail server."""


class Mailer:
    """A connection for each mail: there are few, and one that was kept would be closed by the other side."""

    def __init__(self, server: MailServer) -> None:
        self._server = server
        self._trusted: ssl.SSLContext | None = None

    async def send(self, address: str, text: str, language: Language, number: int, created_at_ms: int) -> None:
        """Hand in one mail; how long that may take is for the caller to bound.

        Raises:
            MailError: The mail server did not take it.
        """
        server = self._server
        if self._trusted is None:
            # Reading the certificates of the authorities takes a while.
            self._trusted = await asyncio.to_thread(httpx.create_ssl_context)
        try:
            await aiosmtplib.send(
                self._message(address, text, language, number, created_at_ms),
                recipients=[address],
                sender=server.sender,
                hostname=server.host,
                port=server.port,
                username=server.user,
                password=server.password,
                use_tls=not server.starttls,
                # Not "where it is offered": whoever sits between could leave the offer out.
                start_tls=server.starttls,
                tls_context=self._trusted,
            )
        except aiosmtplib.SMTPResponseException as refusal:
            raise MailError(f"The mail server answered {refusal.code}") from None
        except aiosmtplib.SMTPRecipientsRefused as refusal:
            raise MailError(f"The mail server answered {refusal.recipients[0].code}") from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise MailError(f"The mail was not taken: {type(error).__name__}") from None

    def _message(self, address: str, text: str, language: Language, number: int, created_at_ms: int) -> EmailMessage:
        # The library refuses line breaks in headers, and encodes what is not ASCII.
        message = EmailMessage()
        message["From"] = self._server.sender
        message["To"] = address
        message["Subject"] = text[:_SUBJECT_LETTERS]
        message["Date"] = format_datetime(to_datetime(created_at_ms))
        # The same at each attempt, so that a mail that was taken twice is shown once.
        message["Message-ID"] = f"<notification-{number}-{created_at_ms}@{self._server.sender.rpartition('@')[2]}>"
        # Replies of absence to each would be mail to nobody.
        message["Auto-Submitted"] = "auto-generated"
        message["Content-Language"] = language
        message.set_content(f"{text}\n", charset="utf-8")
        return message
