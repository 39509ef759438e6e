"""A device's ways to neighbors, and theirs to it, where one end or both can only dial out."""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

from ..grpc.credentials import Credentials
from .dialer import Dialer
from .door import Door, Serve
from .doorway import Doorway
from .identity import client_context, server_context

DIAL_OUT = "dial-out"
"""In place of an address: this device cannot be dialed, it dials."""


class Tunnels:
    """The ways of one device.

    Parameters
    ----------
    device : int
        The device.
    listen : str
        ``host:port`` to be dialed at, or ``dial-out``.
    credentials : Credentials or None
        None to go without TLS.
    rendezvous : str
        ``host:port`` of a rendezvous, for ways between two devices that can only dial out.
    passes_on : bool
        Whether this device is a rendezvous for others, too.
    others : Mapping[bytes, Callable], optional
        Who serves connections that begin with other lines; see `Door`.

    Attributes
    ----------
    inner : str
        Where the device's gRPC server is to listen.

    Raises
    ------
    ConfigError
        The address cannot be listened at.
    """

    def __init__(
        self,
        device: int,
        listen: str,
        credentials: Credentials | None,
        rendezvous: str = "",
        passes_on: bool = False,
        others: Mapping[bytes, Serve] | None = None,
    ) -> None:
        self._device = device
        self._folder = Path(tempfile.mkdtemp(prefix="p2pl-"))
        self.inner = f"unix:{self._folder / 'own'}"
        self._client = None if credentials is None else client_context(credentials)
        self._doorways: dict[int, Doorway] = {}
        self._dialers: dict[str, Dialer] = {}
        self._rendezvous, self._door = rendezvous, None
        self._open_to_guests = False
        if listen != DIAL_OUT:
            server = None if credentials is None else server_context(credentials)
            try:
                self._door = Door(listen, server, self._dial_own, passes_on, others=others)
            except BaseException:
                self.close()
                raise

    @property
    def port(self) -> int:
        """The port that the device can be dialed at; 0 if it cannot be."""
        return 0 if self._door is None else self._door.port

    def start(self) -> None:
        """Begin to accept and to dial: the gRPC server listens by now."""
        if self._door is not None:
            self._door.start()

    def meet(self, neighbors: Collection[int]) -> None:
        """Set whose control streams are taken, unless anybody's of the group are."""
        if self._door is not None and not self._open_to_guests:
            self._door.admit(neighbors)

    def receive_guests(self) -> None:
        """Take control streams of any device of the group from now on."""
        self._open_to_guests = True
        if self._door is not None:
            self._door.admit(None)

    def expel(self, devices: Collection[int]) -> None:
        """Take no control streams of these devices any more, and end those that are open."""
        if self._door is not None:
            self._door.expel(devices)

    def target(self, neighbor: int, address: str) -> str:
        """Return what gRPC dials to reach a neighbor whose address is ``host:port`` or dial-out.

        Where the device itself cannot be dialed, it also begins to dial whoever shall call it.
        """
        if address != DIAL_OUT:
            if self._door is None:
                self._dialer(address)
            return address
        if self._door is None and self._rendezvous:
            self._dialer(self._rendezvous)
        if neighbor not in self._doorways:
            path = self._folder / str(neighbor)
            self._doorways[neighbor] = Doorway(path, lambda: self._connect(neighbor))
        return self._doorways[neighbor].target

    def close(self) -> None:
        """End all ways."""
        for dialer in self._dialers.values():
            dialer.close()
        for doorway in self._doorways.values():
            doorway.close()
        if self._door is not None:
            self._door.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _dialer(self, address: str) -> Dialer:
        if address not in self._dialers:
            self._dialers[address] = Dialer(address, self._device, self._client, self._dial_own)
        return self._dialers[address]

    def _connect(self, neighbor: int) -> socket.socket:
        """Return a connection to a neighbor that can only dial out."""
        if self._door is not None:
            with contextlib.suppress(OSError):
                return self._door.registry.connect(neighbor)
        if not self._rendezvous:
            raise OSError(f"device {neighbor} has not dialed")
        return self._dialer(self._rendezvous).connect(neighbor)

    def _dial_own(self) -> socket.socket:
        own = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            own.connect(self.inner.removeprefix("unix:"))
        except OSError:
            own.close()
            raise
        return own


def serve_rendezvous(listen: str, credentials: Credentials | None, most_connections: int) -> Door:
    """Let the devices of a group meet here: return what has begun to accept them.

    Raises
    ------
    ConfigError
        The address cannot be listened at.
    """
    context = None if credentials is None else server_context(credentials)
    door = Door(listen, context, None, passes_on=True, most_connections=most_connections)
    door.start()
    return door
