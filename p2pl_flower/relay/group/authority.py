"""Who is let into a group: gives those who come with an invitation a certificate."""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ...errors import P2PLError
from ...system.files import write_text
from ..grpc.certificates import issue
from ..grpc.credentials import CA_FILE
from .invitation import NAME, Invitation
from .revocations import Revocations
from .signing import read_authority

LEDGER = "issued.json"
_DEVICE_FILE = re.compile(r"device-(\d+)\.pem")


class NotAdmittedError(P2PLError):
    """Somebody is not let in; the message is for them to read."""


@dataclass(frozen=True)
class Admission:
    """What somebody gets who is let in.

    Attributes
    ----------
    device : int
        Its id.
    name : str
        What it is called.
    certificate : str
        In PEM.
    """

    device: int
    name: str
    certificate: str


class Authority:
    """The authority of a group.

    Parameters
    ----------
    folder : Path
        With ``ca.pem`` and ``ca.key``. ``issued.json`` is kept there: who was let in by which
        invitation, under which name.
    days : float
        How long certificates are valid.

    Raises
    ------
    ConfigError
        The folder does not hold an authority.
    """

    def __init__(self, folder: Path, days: float = 365.0) -> None:
        self.folder, self._days = folder, days
        self.certificate, self._key = read_authority(folder)

    @property
    def pem(self) -> str:
        """The authority's certificate, in PEM."""
        return (self.folder / CA_FILE).read_text(encoding="ascii")

    def invite(self, address: str, seconds: float, name: str = "") -> Invitation:
        """Return an invitation to come to ``address`` within some seconds."""
        return Invitation.make(self.certificate, self._key, address, seconds, name)

    def admit(self, invitation: Invitation, request: bytes, name: str) -> Admission:
        """Let a device in.

        One that comes again with the same invitation and the same key, because an answer was
        lost, gets the same id again; with another key it is somebody else.

        Parameters
        ----------
        invitation : Invitation
            What it shows.
        request : bytes
            A certificate signing request, in PEM: proves that the key is its own.
        name : str
            What it wants to be called, where the invitation does not say it.

        Raises
        ------
        NotAdmittedError
            It is not let in.
        """
        if (trouble := invitation.trouble(self.certificate)) is not None:
            raise NotAdmittedError(trouble)
        if invitation.name and name not in ("", invitation.name):
            raise NotAdmittedError(f"the invitation is for {invitation.name}, not for {name!r:.60}")
        name = invitation.name or name
        if not NAME.fullmatch(name):
            raise NotAdmittedError("a name is 1 to 40 small letters, digits and hyphens")
        key = _key_in(request)
        with self._ledger() as ledger:
            device = self._place(ledger, invitation.nonce, name, _print_of(key))
        certificate = issue(self.certificate, self._key, key, device, self._days)
        pem = certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")
        return Admission(device, name, pem)

    def revoke(self, listed: Revocations, devices: Iterable[int]) -> Revocations:
        """Return the list that follows one, with more devices on it."""
        return listed.adding(self._key, devices)

    def device_called(self, name: str) -> int | None:
        """Return the id of the device of a name; None where nobody was let in under it."""
        with self._ledger() as ledger:
            found = ledger["names"].get(name)
        return None if found is None else int(found)

    def _place(self, ledger: dict[str, Any], nonce: str, name: str, key: str) -> int:
        known = ledger["invitations"].get(nonce)
        if known is not None:
            if known["key"] != key:
                raise NotAdmittedError("the invitation has been used: ask for another one")
            return int(known["device"])
        if name in ledger["names"]:
            raise NotAdmittedError(f"a device called {name} is there already: take another name")
        device = 1 + int(max([-1, *ledger["names"].values(), *self._made_by_hand()]))
        ledger["invitations"][nonce] = {"device": device, "key": key}
        ledger["names"][name] = device
        return device

    def _made_by_hand(self) -> list[int]:
        names = (_DEVICE_FILE.fullmatch(path.name) for path in self.folder.iterdir())
        return [int(found[1]) for found in names if found]

    @contextlib.contextmanager
    def _ledger(self) -> Iterator[dict[str, Any]]:
        """Give the ledger to one process at a time; what is changed in it is written."""
        path = self.folder / LEDGER
        with (self.folder / f".{LEDGER}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            ledger = json.loads(text) if text else {"invitations": {}, "names": {}}
            yield ledger
            written = json.dumps(ledger, indent=1) + "\n"
            if written != text:
                write_text(path, written)


def _key_in(request: bytes) -> ec.EllipticCurvePublicKey:
    try:
        read = x509.load_pem_x509_csr(request)
        key = read.public_key()
        proven = read.is_signature_valid
    except (ValueError, TypeError, x509.UnsupportedGeneralNameType):
        raise NotAdmittedError("the certificate signing request cannot be read") from None
    if not proven or not isinstance(key, ec.EllipticCurvePublicKey):
        raise NotAdmittedError("the certificate signing request is not signed by an EC key")
    return key


def _print_of(key: ec.EllipticCurvePublicKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    digest = hashes.Hash(hashes.SHA256())
    digest.update(key.public_bytes(serialization.Encoding.DER, form))
    return digest.finalize().hex()
