"""Who is at the other end of a control stream: TLS with certificates on both sides."""

from __future__ import annotations

import socket
import ssl
import tempfile
from pathlib import Path

from cryptography import x509

from ..grpc.credentials import Credentials, device_in

HANDSHAKE_SECONDS = 10.0


def server_context(credentials: Credentials) -> ssl.SSLContext:
    """Return what makes a server show its certificate and demand its callers'."""
    return _context(ssl.PROTOCOL_TLS_SERVER, credentials)


def open_context(credentials: Credentials) -> ssl.SSLContext:
    """Return what makes a server show its certificate, and take callers that have none yet."""
    context = _context(ssl.PROTOCOL_TLS_SERVER, credentials)
    context.verify_mode = ssl.CERT_NONE
    return context


def client_context(credentials: Credentials) -> ssl.SSLContext:
    """Return what makes a caller show its certificate and demand one of the same authority.

    Whose certificate that is does not matter: a host hands out tokens, and every connection that
    they lead to is checked by its own TLS.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, credentials)
    context.check_hostname = False
    return context


def _context(protocol: int, credentials: Credentials) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=credentials.ca.decode())
    with tempfile.TemporaryDirectory(prefix="p2pl-") as folder:  # ssl reads them from files alone
        pair = Path(folder) / "pair.pem"
        pair.touch(mode=0o600)
        pair.write_bytes(credentials.key + b"\n" + credentials.certificate)
        context.load_cert_chain(pair)
    return context


def caller_of(connection: socket.socket, said: object) -> int | None:
    """Return which device is at the other end; None where its certificate names none.

    Parameters
    ----------
    connection : socket.socket
        The connection; its certificate counts where it has TLS.
    said : object
        What the other end says its device is: that counts where there is no TLS.
    """
    if not isinstance(connection, ssl.SSLSocket):
        return said if type(said) is int and said >= 0 else None
    encoded = connection.getpeercert(binary_form=True)
    return device_in(x509.load_der_x509_certificate(encoded)) if encoded else None
