"""Makes a certificate authority (CA) and a certificate for each device."""

from __future__ import annotations

import datetime
import os
from collections.abc import Collection
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ...errors import ConfigError
from .credentials import CA_FILE, CA_KEY_FILE, check_dates, check_pair, host_name

_BACKDATED = datetime.timedelta(minutes=5)  # clocks of two machines differ a little


def make_certificates(folder: Path, devices: Collection[int], days: float = 365.0) -> list[Path]:
    """Write a CA, if the folder has none yet, and each device's certificate and key.

    Parameters
    ----------
    folder : Path
        ``ca.pem`` and ``device-N.pem`` may be shown to anyone. ``device-N.key`` is for device N
        alone. ``ca.key`` makes further devices: it belongs on no device.
    devices : Collection[int]
        Device ids. Certificates that are there already are kept.
    days : float
        How long they are valid.

    Returns
    -------
    list[Path]
        The files that have been written.

    Raises
    ------
    ConfigError
        The folder cannot be written, or holds half a CA.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written, ca, ca_key = _authority(folder, days)
        for device in sorted(set(devices)):
            check_pair(folder, device)
            if not (folder / f"device-{device}.pem").exists():
                written += _device(folder, device, ca, ca_key, days)
    except OSError as error:
        rule = f"cannot be written ({error.strerror})"
        raise ConfigError("out", str(folder), rule) from None
    return written


def _authority(
    folder: Path, days: float
) -> tuple[list[Path], x509.Certificate, ec.EllipticCurvePrivateKey]:
    paths = [folder / CA_FILE, folder / CA_KEY_FILE]
    if not any(path.exists() for path in paths):
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("p2pl-flower CA")
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = (
            _builder(name, name, key.public_key(), key, days)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
        )
        certificate = builder.sign(key, hashes.SHA256())
        write_pair(paths, certificate, key)
        return paths, certificate, key
    try:
        certificate = x509.load_pem_x509_certificate(paths[0].read_bytes())
        loaded = serialization.load_pem_private_key(paths[1].read_bytes(), None)
    except (OSError, ValueError, TypeError):
        rule = f"must hold both {CA_FILE} and {CA_KEY_FILE} of a CA, or neither"
        raise ConfigError("out", str(folder), rule) from None
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise ConfigError("out", str(folder), f"{CA_KEY_FILE} is not a key that this command made")
    check_dates("certificate of the CA", certificate)
    return [], certificate, loaded


def _device(
    folder: Path, device: int, ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey, days: float
) -> list[Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    paths = [folder / f"device-{device}.pem", folder / f"device-{device}.key"]
    write_pair(paths, issue(ca, ca_key, key.public_key(), device, days), key)
    return paths


def issue(
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
    public_key: ec.EllipticCurvePublicKey,
    device: int,
    days: float,
) -> x509.Certificate:
    """Return a device's certificate, for the key that it has made."""
    roles = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    names = x509.SubjectAlternativeName([x509.DNSName(host_name(device))])
    return (
        _builder(_name(host_name(device)), ca.subject, public_key, ca_key, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(names, critical=False)
        .add_extension(x509.ExtendedKeyUsage(roles), critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    days: float,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(max(now + datetime.timedelta(days=days), now - _BACKDATED))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(issuer_id, critical=False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def write_pair(
    paths: list[Path], certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> None:
    """Write a certificate, and its key for nobody else to read."""
    encoded = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    descriptor = os.open(paths[1], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(encoded)
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
