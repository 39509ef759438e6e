"""The list of devices whose certificates count no longer: signed, and the newer one wins."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from ...errors import ConfigError
from ...system.files import write_text
from .signing import is_signed, signed

MOST = 4096
"""Devices on a list: it goes with greetings, which are short."""

_KIND = "revocations"


@dataclass(frozen=True)
class Revocations:
    """A list.

    Attributes
    ----------
    version : int
        Number of the list, from 1; 0 is the empty list that nobody signed.
    devices : frozenset[int]
        Whose certificates count no longer.
    signature : str
        Of both, by the authority.
    """

    FILE: ClassVar[str] = "revoked.json"

    version: int = 0
    devices: frozenset[int] = frozenset()
    signature: str = ""

    def adding(self, key: ec.EllipticCurvePrivateKey, devices: Iterable[int]) -> Revocations:
        """Return the next list, with more devices on it.

        Raises
        ------
        ConfigError
            That would be too many.
        """
        made = Revocations(self.version + 1, self.devices | frozenset(devices))
        if len(made.devices) > MOST:
            rule = f"must be {MOST:,} at most; make a new authority for those who stay"
            raise ConfigError("devices", len(made.devices), rule)
        return Revocations(made.version, made.devices, signed(key, _KIND, made._fields()))

    def newer(self, said: object, authority: x509.Certificate) -> Revocations:
        """Return what somebody says the list is, if it is a newer one of the authority's.

        Parameters
        ----------
        said : object
            As `to_json` wrote it, if it is honest.
        authority : x509.Certificate
            Who must have signed it.
        """
        if not isinstance(said, Mapping):
            return self
        version, devices = said.get("version"), said.get("devices")
        if type(version) is not int or version <= self.version or not isinstance(devices, list):
            return self
        if len(devices) > MOST or not all(type(device) is int for device in devices):
            return self
        made = Revocations(version, frozenset(devices), str(said.get("signature")))
        return made if is_signed(authority, _KIND, made._fields(), made.signature) else self

    def to_json(self) -> dict[str, Any]:
        """Return it in JSON's types."""
        return {**self._fields(), "signature": self.signature}

    @classmethod
    def load(cls, folder: Path, authority: x509.Certificate) -> Revocations:
        """Read a folder's list; the empty one where there is none.

        Raises
        ------
        ConfigError
            There is one that the authority has not signed.
        """
        path = folder / cls.FILE
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return cls()
        except OSError as error:
            raise ConfigError("revocations", str(path), f"({error.strerror})") from None
        try:
            found = cls().newer(json.loads(text), authority)
        except (ValueError, RecursionError):
            found = cls()
        if not found.version:
            rule = "holds no list that the group's authority has signed"
            raise ConfigError("revocations", str(path), rule)
        return found

    def save(self, folder: Path) -> None:
        """Write it into a folder."""
        write_text(folder / self.FILE, json.dumps(self.to_json()) + "\n")

    def _fields(self) -> dict[str, Any]:
        return {"version": self.version, "devices": sorted(self.devices)}
