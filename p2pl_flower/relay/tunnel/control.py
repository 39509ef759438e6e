"""A control stream: short JSON lines over one connection, both ways."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

from .pump import end

CONTROL = b"P2PL-CONTROL 1\n"
DATA = b"P2PL-DATA 1 "
TOKEN_LENGTH = 32

PING_SECONDS = 3.0
SILENCE_SECONDS = 10.0
"""A stream that has brought nothing for so long is dead: each side says something more often."""

_LONGEST_LINE = 4096
_STALL_SECONDS = 5.0


class BrokenStreamError(OSError):
    """The stream has ended, or what comes over it is not what it should be."""


class ControlStream:
    """One end of a control stream.

    Parameters
    ----------
    connection : socket.socket
        Connected, and wrapped by TLS unless the run goes without.
    longest : int
        Bytes of the longest line that is read.
    """

    def __init__(self, connection: socket.socket, longest: int = _LONGEST_LINE) -> None:
        connection.settimeout(_STALL_SECONDS)
        self._connection, self._longest = connection, longest
        self._buffer = b""
        self._lock = threading.Lock()  # one thread at a time may use a TLS connection
        self.heard_at = time.monotonic()

    def say(self, fields: dict[str, Any], once: Callable[[], None] | None = None) -> None:
        """Send a line; before that, do ``once``, since when nobody else sends one sooner.

        Raises
        ------
        OSError
            The stream is broken.
        """
        line = json.dumps(fields).encode() + b"\n"
        with self._lock:
            if once is not None:
                once()
            self._connection.sendall(line)

    def hear(self, seconds: float) -> dict[str, Any] | None:
        """Return the next line, or None if none comes in time.

        Raises
        ------
        OSError
            The stream is broken.
        """
        stop = time.monotonic() + seconds
        while b"\n" not in self._buffer:
            if not self._ready(stop - time.monotonic()):
                return None
            with self._lock:
                more = self._connection.recv(self._longest)
            if not more:
                raise BrokenStreamError("the control stream has ended")
            self._buffer += more
            if len(self._buffer) > 4 * self._longest:
                raise BrokenStreamError("a line of the control stream is too long")
        line, _, self._buffer = self._buffer.partition(b"\n")
        self.heard_at = time.monotonic()
        return _read(line)

    @property
    def silent(self) -> bool:
        """Whether nothing has come for too long."""
        return time.monotonic() - self.heard_at > SILENCE_SECONDS

    def close(self) -> None:
        """End the stream; whoever hears it sees that."""
        with contextlib.suppress(OSError):
            end(self._connection)

    def _ready(self, seconds: float) -> bool:
        connection = self._connection
        if isinstance(connection, ssl.SSLSocket) and connection.pending():
            return True
        if seconds < 0 or connection.fileno() < 0:
            return False
        waiting = select.poll()
        waiting.register(connection, select.POLLIN)
        return bool(waiting.poll(1000 * seconds))


def _read(line: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise BrokenStreamError("a line of the control stream is no JSON object")
    return fields
