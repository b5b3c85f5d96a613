"""The gRPC channel to the server: its credentials, and what a failure to connect means to the daemon's owner."""

import ssl
from pathlib import Path

import grpc
import structlog
from grpc import aio

from dc1 import defaults
from dc1.daemon.config import DaemonConfig
from dc1.daemon.errors import DaemonError
from dc1.loopback import is_loopback
from dc1.os_errors import file_and_reason
from dc1.proxies import grpc_proxy

log = structlog.get_logger(__name__)

_OPTIONS = (
    # More than gRPC's 4 MiB: one desired state may bring several offers with all their input.
    ("grpc.max_receive_message_length", defaults.MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", defaults.MAX_MESSAGE_BYTES),
    # Waiting between attempts is Backoff's; grpc would share its own, slower one between channels.
    ("grpc.use_local_subchannel_pool", 1),
)
_WORDS = {
    "WRONG_VERSION_NUMBER": "the server speaks no TLS on this port: start the daemon without --tls, or name the port that does",
    "CERTIFICATE_VERIFY_FAILED": "the server's certificate is not trusted: --ca-file can name one that is",
    "Hostname Verification Check failed": "the server's certificate is for another name than the one in --server",
    "Connection refused": "nothing listens at that address",
    "Domain name not found": "there is no host of that name",
}
"""What signs in the reports of gRPC's core mean."""


def read_credentials(config: DaemonConfig) -> grpc.ChannelCredentials | None:
    """Return what the server's certificate is checked against, None for a connection that is not encrypted.

    Raises:
        DaemonError: the CA file cannot be read or holds no certificate.
    """
    if not config.tls:
        return None
    # gRPC has certificates of its own and looks at no others; SSL_CERT_FILE names some too.
    file = config.ca_file or ssl.get_default_verify_paths().cafile
    if file is None:
        return grpc.ssl_channel_credentials()
    try:
        roots = Path(file).read_bytes()
        # Tried here first: gRPC takes any bytes, and fails only when it connects, with words about the server.
        # Bundles name their certificates in between, in any script.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=roots.decode("ascii", errors="ignore"))
    except (ssl.SSLError, ValueError):
        raise DaemonError(f"The CA file holds no certificate in PEM form: {file}.") from None
    except OSError as error:
        raise DaemonError(f"The CA file cannot be read: {file_and_reason(error)}.") from error
    return grpc.ssl_channel_credentials(root_certificates=roots)


def read_again(config: DaemonConfig, last: grpc.ChannelCredentials | None) -> grpc.ChannelCredentials | None:
    """Return the credentials as the CA file has them now, the `last` ones while it has none.

    A certificate that signs itself, or a house's own authority, is renewed while daemons run.
    """
    try:
        return read_credentials(config)
    except DaemonError as error:
        log.warning("ca_file_not_read", problem=str(error), hint="those that it had before are trusted")
        return last


def open_channel(server: str, credentials: grpc.ChannelCredentials | None) -> aio.Channel:
    """Return a channel to `host:port`; it connects with the first call, through the environment's proxy if need be."""
    proxy = grpc_proxy(server)
    # Said in any case: by itself gRPC would take loopback to the proxy, and leave out variables in capital letters.
    way = ("grpc.enable_http_proxy", 0) if proxy is None else ("grpc.http_proxy", proxy)
    options = (*_OPTIONS, way)
    if credentials is None:
        return aio.insecure_channel(server, options=options)
    return aio.secure_channel(server, credentials, options=options)


def stays_here(server: str) -> bool:
    """Return whether `host:port` is on this machine, where an unencrypted key travels no network."""
    return is_loopback(server.rpartition(":")[0])


def explain_failure(details: str, *, tls: bool) -> str:
    """Return what the details of a failed connection mean, or the details themselves where that is not known."""
    # The server's own words begin otherwise, and are for people already.
    if not details.startswith(("failed to connect", "errors resolving")):
        return details
    if not tls and "Socket closed" in details:
        return "the server hangs up at once: it may speak TLS only, which needs --tls"
    return next((words for sign, words in _WORDS.items() if sign in details), details)
