"""Whose certificates count still, as one device knows it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509

from ...errors import ConfigError
from ..grpc.protocol import Refusal, RefusedError
from .revocations import Revocations

log = logging.getLogger("flwr.p2pl")


class Standing:
    """The newest list of revocations that a device has seen; kept beside its certificate.

    Parameters
    ----------
    authority : bytes
        The authority's certificate, in PEM.
    folder : Path or None
        Where the list is read from and kept; None for nowhere.

    Raises
    ------
    ConfigError
        The folder holds a list that the authority has not signed.
    """

    def __init__(self, authority: bytes, folder: Path | None = None) -> None:
        self._authority = x509.load_pem_x509_certificate(authority)
        self._folder = folder
        self._lock = threading.Lock()
        self._list = Revocations()
        self._listeners: list[Callable[[frozenset[int]], None]] = []
        if folder is not None:
            self._list = Revocations.load(folder, self._authority)

    @property
    def version(self) -> int:
        """Number of the list."""
        return self._list.version

    @property
    def revoked(self) -> frozenset[int]:
        """The devices whose certificates count no longer."""
        return self._list.devices

    def check(self, device: int) -> None:
        """Refuse a device whose certificate counts no longer.

        Raises
        ------
        RefusedError
            It is on the list.
        """
        if device in self.revoked:
            reason = f"the certificate of device {device} has been taken back"
            raise RefusedError(Refusal.IDENTITY, reason)

    def tell(self, listener: Callable[[frozenset[int]], None]) -> None:
        """Call somebody, with all devices on the list, whenever it gets longer; and now."""
        self._listeners.append(listener)
        listener(self.revoked)

    def to_json(self) -> dict[str, Any] | None:
        """Return the list as neighbors are told it; None for an empty one."""
        return self._list.to_json() if self.version else None

    def hear(self, said: object) -> None:
        """Take over what a neighbor says the list is, if that is newer and signed."""
        with self._lock:
            newer = self._list.newer(said, self._authority)
            if newer is self._list:
                return
            added, self._list = newer.devices - self._list.devices, newer
            self._keep()
        listed = ", ".join(map(str, sorted(added)))
        log.warning("certificates of these devices have been taken back: %s", listed)
        for listener in self._listeners:
            listener(self.revoked)

    def look(self) -> None:
        """Look whether the folder holds a newer list by now."""
        if self._folder is None:
            return
        try:
            found = Revocations.load(self._folder, self._authority)
        except ConfigError as error:
            log.error("%s", error)
            return
        self.hear(found.to_json())

    def _keep(self) -> None:
        if self._folder is None:
            return
        try:
            self._list.save(self._folder)
        except OSError as error:
            rule = "the list of revoked certificates cannot be kept in %s: %s"
            log.warning(rule, self._folder, error.strerror)
