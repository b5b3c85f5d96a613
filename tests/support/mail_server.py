"""A mail server that speaks TLS, from the first byte or by STARTTLS, and knows one user."""

import base64
import ssl
import threading
from email import message_from_bytes, policy
from email.message import EmailMessage
from socketserver import StreamRequestHandler, ThreadingTCPServer

from dc1.testing.waiting import eventually
from tests.support.receiver import CERTIFICATE

USER, PASSWORD = "market", "geheim/ 7"
_CREDENTIAL = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()


class MailServer(ThreadingTCPServer):
    """Takes mail, or answers `refusals` one after the other."""

    def __init__(self, *, starttls: bool = False) -> None:
        super().__init__(("localhost", 0), _Session)
        self.mails: list[tuple[list[str], EmailMessage]] = []
        self.refusals: list[str] = []
        self.starttls = starttls
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(CERTIFICATE, CERTIFICATE.with_suffix(".key"))
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        scheme = "smtp+starttls" if self.starttls else "smtps"
        return f"{scheme}://{USER}:geheim%2F%207@localhost:{self.server_address[1]}"

    def wait(self, count: int) -> list[tuple[list[str], EmailMessage]]:
        """The mails, of which there must be this many before long."""
        eventually(lambda: len(self.mails) >= count, f"{count} mails")
        return self.mails

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Session(StreamRequestHandler):
    """One connection."""

    server: MailServer

    def handle(self) -> None:
        self._encrypted = self._known = False
        self._recipients: list[str] = []
        try:
            if not self.server.starttls:
                self._encrypt()
            self._say("220 localhost ESMTP")
            while line := self.rfile.readline():
                verb, _, rest = line.decode().strip().partition(" ")
                self._answer(verb.upper(), rest)
        except OSError:
            # A client that trusts somebody else, or that is gone.
            pass

    def _answer(self, verb: str, rest: str) -> None:
        match verb:
            case "EHLO":
                self._say("250-localhost", "250 AUTH PLAIN" if self._encrypted else "250 STARTTLS")
            case "STARTTLS":
                self._say("220 go on")
                self._encrypt()
            case "AUTH" if self._encrypted:
                self._known = rest == f"PLAIN {_CREDENTIAL}"
                self._say("235 welcome" if self._known else f"535 not {rest}")
            case "MAIL" if self._known:
                self._say("250 OK")
            case "RCPT" if self._known:
                self._recipients.append(rest.partition("<")[2].partition(">")[0])
                self._say("250 OK")
            case "DATA" if self._recipients:
                self._say("354 go on")
                self._say(self._take(b"".join(iter(self.rfile.readline, b".\r\n"))))
            case _:
                self._say("221 bye" if verb == "QUIT" else "503 not now")

    def _take(self, content: bytes) -> str:
        if self.server.refusals:
            return self.server.refusals.pop(0)
        mail = message_from_bytes(content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.server.mails.append((self._recipients, mail))
        return "250 OK"

    def _encrypt(self) -> None:
        self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb", buffering=0)
        self._encrypted = True

    def _say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())

    def finish(self) -> None:
        super().finish()
        self.request.close()
