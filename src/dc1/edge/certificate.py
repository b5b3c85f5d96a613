"""The public listener's certificate: handed to Envoy in a file that it watches, and anew when its own files change."""

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any

import structlog

from dc1.edge.errors import EdgeError
from dc1.os_errors import file_and_reason
from dc1.private_files import write_private_file

_FAULTY_LOOKS = 2
_NAME = "public"
_TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
_log = structlog.get_logger(__name__)


class Certificate:
    """A chain and its key, as PEM.

    Envoy could watch the two files itself, but sees only renames, and either of them alone: those who renew copy,
    link and write in place, one file after the other. It is given both at once, and never two that do not belong
    together.
    """

    def __init__(self, chain: Path, key: Path, file: Path) -> None:
        """Take where the two are, and the file in which Envoy reads them."""
        self._chain = chain
        self._key = key
        self._file = file
        self._given: tuple[bytes, bytes] | None = None
        self._faulty: tuple[bytes, bytes] | None = None
        self._faulty_looks = 0

    def give(self) -> None:
        """Write what Envoy reads; OSError when a file cannot be read or written."""
        self._write(self._read())

    async def keep_current(self, look_seconds: float) -> None:
        """Look at the files again and again, until cancelled."""
        while True:
            await asyncio.sleep(look_seconds)
            try:
                self.look()
            # Gone for a moment, a full disk: what Envoy has is good until it runs out.
            except OSError as error:
                _log.warning("certificate_unreadable", reason=str(error))

    def look(self) -> None:
        """Give Envoy what is in the files now, where that is another certificate with its key; OSError as `give`."""
        found = self._read()
        if found == self._given:
            return
        try:
            check_certificate(self._chain, self._key)
        except EdgeError as error:
            self._note_refused(found, str(error))
            return
        # What was checked is what is given: the files may have changed in between.
        if found == self._read():
            self._write(found)
            _log.info("certificate_renewed", path=str(self._chain))

    def _note_refused(self, found: tuple[bytes, bytes], reason: str) -> None:
        """Tell of files that cannot be used, once; of a renewal that is under way the next look finds the rest."""
        self._faulty_looks = self._faulty_looks + 1 if found == self._faulty else 1
        self._faulty = found
        if self._faulty_looks == _FAULTY_LOOKS:
            _log.warning("certificate_refused", reason=reason, hint="The one of before serves until this is mended.")

    def _read(self) -> tuple[bytes, bytes]:
        return self._chain.read_bytes(), self._key.read_bytes()

    def _write(self, found: tuple[bytes, bytes]) -> None:
        chain, key = (text.decode("utf-8", errors="replace") for text in found)
        certificate = {"certificate_chain": {"inline_string": chain}, "private_key": {"inline_string": key}}
        secret = {"@type": _TYPE, "name": _NAME, "tls_certificate": certificate}
        # Renamed into its place: Envoy never reads half of it, and takes notice of nothing else.
        new = self._file.with_suffix(".new")
        write_private_file(new, json.dumps({"resources": [secret]}))
        new.replace(self._file)
        self._given = found


def transport_socket(file: Path) -> dict[str, Any]:
    """Return what has a listener of Envoy speak TLS by the certificate in a file."""
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
                # Without h2 among them no native gRPC client could speak to an encrypted port.
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_certificate_sds_secret_configs": [
                    {"name": _NAME, "sds_config": {"path_config_source": {"path": str(file)}}}
                ],
            },
        },
    }


def check_certificate(certificate: Path, key: Path) -> None:
    """Load a chain and its key as a server would.

    Raises:
        EdgeError: a file cannot be read, or the two are no certificate and its key.
    """
    try:
        # Read first, as the error of load_cert_chain does not say which of the two files is missing.
        for file in (certificate, key):
            file.read_bytes()
        # An empty password, as for an encrypted key the terminal would be asked for one.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        reason = f" ({error.reason.replace('_', ' ').lower()})" if error.reason else ""
        raise EdgeError(
            f"DC1_TLS_CERTIFICATE {certificate} and DC1_TLS_KEY {key} cannot be used{reason}: "
            "they have to be a certificate and its key, unencrypted, as PEM."
        ) from None
    except OSError as error:
        raise EdgeError(
            f"The file of DC1_TLS_CERTIFICATE or DC1_TLS_KEY cannot be read: {file_and_reason(error)}."
        ) from None
