"""A local address that stands for a device that cannot be dialed: gRPC dials it in its place."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

from .pump import end, join


class Doorway:
    """Listens at a local socket; each connection is carried over another one to the device.

    Parameters
    ----------
    path : Path
        Where the socket is made.
    connect : Callable
        Returns a connection to the device, or raises OSError.
    """

    def __init__(self, path: Path, connect: Callable[[], socket.socket]) -> None:
        self.target, self._connect = f"unix:{path}", connect
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen(8)
        threading.Thread(target=self._accept, name="p2pl-doorway", daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        end(self._socket)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(connection,), daemon=True).start()

    def _carry(self, connection: socket.socket) -> None:
        try:
            far = self._connect()
        except OSError:
            end(connection)
            return
        join(connection, far)
