"""Who is who: certificates, what gRPC makes of them, and the identity it reads from them."""

from __future__ import annotations

import datetime
import functools
import logging
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization

from ...errors import ConfigError

log = logging.getLogger("flwr.p2pl")

CA_FILE, CA_KEY_FILE = "ca.pem", "ca.key"


def host_name(device: int) -> str:
    """Return the name that a device's certificate is made out to."""
    return f"device-{device}.p2pl"


_HOST_NAME = re.compile(r"device-(\d{1,18})\.p2pl")


@dataclass(frozen=True)
class Credentials:
    """A device's certificate and key, and the CA that all devices' certificates come from.

    Attributes
    ----------
    ca, certificate, key : bytes
        In PEM.
    """

    ca: bytes
    certificate: bytes
    key: bytes

    @classmethod
    def load(cls, folder: str | Path, device: int) -> Credentials:
        """Read ``ca.pem``, ``device-N.pem`` and ``device-N.key`` from a folder, and check them.

        Raises
        ------
        ConfigError
            A file is missing or not what it should be; the certificate has expired, is not
            valid yet, comes from another CA, is another device's or does not fit the key.
        """
        names = (CA_FILE, f"device-{device}.pem", f"device-{device}.key")
        paths = [Path(folder) / name for name in names]
        check_pair(Path(folder), device)
        made = cls(*map(_read, paths))
        made.check(device)
        _warn_of_readers(paths[2])
        return made

    def check(self, device: int) -> None:
        """Refuse a certificate that no neighbor would accept; see `load`."""
        certificate, ca = _parse("certificate", self.certificate), _parse("ca", self.ca)
        check_dates(f"certificate of device {device}", certificate)
        check_dates("certificate of the CA", ca)
        try:
            certificate.verify_directly_issued_by(ca)
        except (InvalidSignature, ValueError, TypeError):
            rule = "is foreign: the CA in ca.pem has not issued it; make all of them together"
            raise ConfigError("certificates", f"device-{device}.pem", rule) from None
        if device_in(certificate) != device:
            rule = f"is not made out to {host_name(device)}"
            raise ConfigError("certificates", f"device-{device}.pem", rule)
        try:
            key = serialization.load_pem_private_key(self.key, password=None)
        except (ValueError, TypeError):
            rule = "holds no private key in PEM without a password"
            raise ConfigError("certificates", f"device-{device}.key", rule) from None
        if key.public_key() != certificate.public_key():
            rule = "does not belong to the certificate"
            raise ConfigError("certificates", f"device-{device}.key", rule)

    def for_server(self) -> grpc.ServerCredentials:
        """Return what makes a server show its certificate and demand its callers'."""
        pair = [(self.key, self.certificate)]
        return grpc.ssl_server_credentials(pair, self.ca, require_client_auth=True)

    def for_channel(self) -> grpc.ChannelCredentials:
        """Return what makes a caller show its certificate and check the server's."""
        return grpc.ssl_channel_credentials(self.ca, self.key, self.certificate)


def check_pair(folder: Path, device: int) -> None:
    """Refuse a certificate whose key is not there, and a key without a certificate.

    Raises
    ------
    ConfigError
        Names both.
    """
    there, missing = f"device-{device}.pem", f"device-{device}.key"
    if (folder / missing).exists():
        there, missing = missing, there
    if (folder / there).exists() and not (folder / missing).exists():
        rule = f"is there, but {missing} is not: they belong together; copy both, or delete this "
        rule += "one and make new ones with `p2pl-flower certs`"
        raise ConfigError("certificates", str(folder / there), rule)


def _warn_of_readers(key: Path) -> None:
    if os.name == "posix" and key.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        rule = "%s can be read by others than its owner, who may pose as this device: chmod 600 %s"
        log.warning(rule, key, key)


def is_out_of_date(pem: bytes) -> bool:
    """Return whether a certificate counts no longer, or not yet; also where it is none."""
    try:
        first, last = _dates(pem)
    except ValueError:
        return True
    return not first <= datetime.datetime.now(datetime.UTC) <= last


@functools.lru_cache(maxsize=256)
def _dates(pem: bytes) -> tuple[datetime.datetime, datetime.datetime]:
    certificate = x509.load_pem_x509_certificate(pem)
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc


def caller(auth_context: Mapping[str, Any]) -> int | None:
    """Return the device that a caller's certificate is made out to; None without one."""
    names = auth_context.get("x509_subject_alternative_name", [])
    return _device_of([name.decode(errors="replace") for name in names])


def device_in(certificate: x509.Certificate) -> int | None:
    """Return the device that a certificate is made out to; None if it is to none, or several."""
    return _device_of(_alternative_names(certificate))


def _device_of(names: list[str]) -> int | None:
    found = [int(match[1]) for name in names if (match := _HOST_NAME.fullmatch(name))]
    return found[0] if len(found) == 1 else None


def _alternative_names(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return extension.value.get_values_for_type(x509.DNSName)


def check_dates(what: str, certificate: x509.Certificate) -> None:
    """Refuse a certificate that has expired, or is not valid yet."""
    now = datetime.datetime.now(datetime.UTC)
    first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now > last:
        rule = f"has expired on {last:%Y-%m-%d %H:%M} UTC; make new ones with `p2pl-flower certs`"
        raise ConfigError("certificates", what, rule)
    if now < first:
        rule = f"is valid only from {first:%Y-%m-%d %H:%M} UTC; is this machine's clock right?"
        raise ConfigError("certificates", what, rule)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        rule = f"cannot be read ({error.strerror}); `p2pl-flower certs` makes such files"
        raise ConfigError("certificates", str(path), rule) from None


def _parse(what: str, pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise ConfigError("certificates", what, "holds no certificate in PEM") from None
