"""Statements that the group's authority signs, and anybody can check who has ``ca.pem``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ...errors import ConfigError
from ..grpc.credentials import CA_FILE, CA_KEY_FILE

_ALGORITHM = ec.ECDSA(hashes.SHA256())


def read_authority(folder: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Return the authority's certificate and key.

    Raises
    ------
    ConfigError
        The folder does not hold both, as `p2pl-flower certs` made them.
    """
    try:
        certificate = x509.load_pem_x509_certificate((folder / CA_FILE).read_bytes())
        key = serialization.load_pem_private_key((folder / CA_KEY_FILE).read_bytes(), None)
    except (OSError, ValueError, TypeError):
        rule = f"must hold {CA_FILE} and {CA_KEY_FILE}: `p2pl-flower certs` makes them"
        raise ConfigError("authority", str(folder), rule) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or (
        key.public_key() != certificate.public_key()
    ):
        rule = f"holds a {CA_KEY_FILE} that is not the key of {CA_FILE}"
        raise ConfigError("authority", str(folder), rule)
    return certificate, key


def digest(authority: x509.Certificate) -> str:
    """Return what an authority is known by: the SHA-256 of its certificate, in hexadecimal."""
    return authority.fingerprint(hashes.SHA256()).hex()


def signed(key: ec.EllipticCurvePrivateKey, kind: str, content: Mapping[str, Any]) -> str:
    """Return the signature of a statement, in hexadecimal; ``kind`` keeps kinds apart."""
    return key.sign(_canonical(kind, content), _ALGORITHM).hex()


def is_signed(
    authority: x509.Certificate, kind: str, content: Mapping[str, Any], signature: str
) -> bool:
    """Tell whether the authority has signed a statement."""
    key = authority.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return False
    try:
        key.verify(bytes.fromhex(signature), _canonical(kind, content), _ALGORITHM)
    except (InvalidSignature, ValueError):
        return False
    return True


def _canonical(kind: str, content: Mapping[str, Any]) -> bytes:
    return f"p2pl-flower {kind}\n{json.dumps(content, sort_keys=True)}".encode()
