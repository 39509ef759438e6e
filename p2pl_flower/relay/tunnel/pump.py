"""Carries bytes between two connections."""

from __future__ import annotations

import contextlib
import socket
import threading

_BUFFER_BYTES = 1 << 18


def keep_alive(connection: socket.socket) -> None:
    """Let the system notice a peer that is gone without a word: after about 20 seconds."""
    if connection.family == socket.AF_UNIX:
        return
    options = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 2}
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for name, value in options.items():
        if hasattr(socket, name):  # not on every system
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def end(connection: socket.socket) -> None:
    """Close a connection that others may be reading from: they see its end."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def join(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until both sides have ended, and close both connections."""
    try:
        for connection in (one, other):
            connection.settimeout(None)
            keep_alive(connection)
    except OSError:  # one of them has ended already
        end(one)
        end(other)
        return
    back = threading.Thread(target=_carry, args=(other, one), name="p2pl-carry", daemon=True)
    back.start()
    _carry(one, other)
    back.join()
    one.close()
    other.close()


def _carry(source: socket.socket, target: socket.socket) -> None:
    """Carry bytes one way; an end is passed on, a break ends both ways."""
    buffer = memoryview(bytearray(_BUFFER_BYTES))
    try:
        while count := source.recv_into(buffer):
            target.sendall(buffer[:count])
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for connection in (source, target):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
