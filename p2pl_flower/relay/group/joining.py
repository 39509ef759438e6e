"""How a device that has an invitation and nothing else gets a certificate; see `reception`."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ...errors import ConfigError, RelayError
from ..grpc.credentials import CA_FILE, Credentials
from ..tunnel.control import ControlStream
from ..tunnel.identity import HANDSHAKE_SECONDS
from .invitation import Invitation
from .reception import ANSWER_SECONDS, JOIN, LONGEST_LINE
from .signing import digest

KEY_FILE = "joining.key"
"""Kept until a certificate comes for it: whoever asks again is the same one."""


@dataclass(frozen=True)
class Joined:
    """What a device knows after it was let in.

    Attributes
    ----------
    device : int
        Its id.
    name : str
        What it is called.
    group : Mapping[str, Any]
        What it was told of the group.
    """

    device: int
    name: str
    group: Mapping[str, Any]


def join_group(
    invitation: Invitation, folder: Path, name: str = "", address: str = "", place: str = ""
) -> Joined:
    """Get a certificate for an invitation, and write it with its key and ``ca.pem``.

    Parameters
    ----------
    invitation : Invitation
        The invitation.
    folder : Path
        Where to write.
    name : str
        What the device is to be called, where the invitation does not say it.
    address : str
        Where the device can be reached, as others are told; ``dial-out`` if it cannot be.
    place : str
        Whom to ask, where it is another one than the invitation names.

    Raises
    ------
    RelayError
        It is not let in, or nobody answers.
    ConfigError
        The folder cannot be written.
    """
    place = place or invitation.address
    key = _own_key(folder)
    try:
        stream, authority = _reached(invitation, place)
        try:
            request = {"invitation": invitation.text(), "request": _request_for(key)}
            stream.say({**request, "name": name, "address": address})
            answer = stream.hear(ANSWER_SECONDS)
        finally:
            stream.close()
    except (OSError, ValueError) as error:
        raise RelayError(f"{place} cannot be joined: {error}") from None
    if answer is None:
        raise RelayError(f"{place} cannot be joined: it does not answer")
    if "refused" in answer:
        raise RelayError(f"{place} does not let this device in: {str(answer['refused'])[:300]!r}")
    return _written(folder, authority, answer, place)


def _reached(invitation: Invitation, place: str) -> tuple[ControlStream, x509.Certificate]:
    """Return a stream to the one who lets in, found to stand for the authority."""
    host, _, port = place.rpartition(":")
    plain = socket.create_connection((host.strip("[]"), int(port)), HANDSHAKE_SECONDS)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # checked below, by hand
    try:
        plain.sendall(JOIN)
        connection = context.wrap_socket(plain)
    except OSError:
        plain.close()
        raise
    stream = ControlStream(connection, LONGEST_LINE)
    try:
        said = stream.hear(HANDSHAKE_SECONDS) or {}
        authority = x509.load_pem_x509_certificate(str(said.get("authority", "")).encode())
        if digest(authority) != invitation.authority:
            raise OSError("it stands for another authority than the invitation")
        shown = x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"")
        shown.verify_directly_issued_by(authority)
    except InvalidSignature:
        stream.close()
        raise OSError("its certificate is not one of the group's authority") from None
    except BaseException:
        stream.close()
        raise
    return stream, authority


def _own_key(folder: Path) -> ec.EllipticCurvePrivateKey:
    """Return the key of an earlier attempt, or a new one."""
    path = folder / KEY_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists():
            found = serialization.load_pem_private_key(path.read_bytes(), None)
            if isinstance(found, ec.EllipticCurvePrivateKey):
                return found
        made = ec.generate_private_key(ec.SECP256R1())
        form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(made.private_bytes(serialization.Encoding.PEM, form, none))
    except OSError as error:
        rule = f"cannot be written ({error.strerror})"
        raise ConfigError("out", str(folder), rule) from None
    return made


def _request_for(key: ec.EllipticCurvePrivateKey) -> str:
    built = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    signed = built.sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _written(
    folder: Path,
    authority: x509.Certificate,
    answer: Mapping[str, Any],
    place: str,
) -> Joined:
    """Check what came, write it, and return what it says."""
    device, group = answer.get("device"), answer.get("group")
    pem = authority.public_bytes(serialization.Encoding.PEM)
    certificate = str(answer.get("certificate", "")).encode("ascii", "replace")
    secret = (folder / KEY_FILE).read_bytes()
    if type(device) is not int or not isinstance(group, Mapping):
        raise RelayError(f"{place} lets this device in, and what it sends cannot be read")
    try:
        Credentials(pem, certificate, secret).check(device)
    except ConfigError as error:
        raise RelayError(f"{place} sends a certificate that is of no use: {error}") from None
    try:
        (folder / CA_FILE).write_bytes(pem)
        (folder / f"device-{device}.pem").write_bytes(certificate)
        (folder / KEY_FILE).replace(folder / f"device-{device}.key")
    except OSError as error:
        rule = f"cannot be written ({error.strerror})"
        raise ConfigError("out", str(folder), rule) from None
    return Joined(device, str(answer.get("name", "")), group)
