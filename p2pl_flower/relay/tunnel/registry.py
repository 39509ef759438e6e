"""Who has a control stream open here, and the calls that are on their way over them."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from .control import TOKEN_LENGTH, ControlStream
from .pump import end

CALL_SECONDS = 10.0
"""Within which a device that is called has to dial."""

_MOST_CALLS = 256

Take = Callable[[socket.socket], None]


@dataclass
class _Call:
    """A call under way: what becomes of the connections that show its token."""

    take: Take
    left: int
    expires: threading.Timer | None = field(default=None, repr=False)


class Registry:
    """Control streams by who is at their other end, and calls by their tokens."""

    def __init__(self) -> None:
        self._streams: dict[int, ControlStream] = {}
        self._calls: dict[str, _Call] = {}
        self._lock = threading.Lock()

    def enter(self, device: int, stream: ControlStream) -> None:
        """Note a stream; an older one of the same device is closed."""
        with self._lock:
            old, self._streams[device] = self._streams.get(device), stream
        if old is not None:
            old.close()

    def leave(self, device: int, stream: ControlStream) -> None:
        """Forget a stream, unless a newer one has taken its place."""
        with self._lock:
            if self._streams.get(device) is stream:
                del self._streams[device]

    def drop(self, device: int) -> None:
        """Close a device's stream, if it has one open."""
        with self._lock:
            stream = self._streams.pop(device, None)
        if stream is not None:
            stream.close()

    def devices(self) -> list[int]:
        """Return the devices that have a stream open."""
        with self._lock:
            return sorted(self._streams)

    def call(self, device: int, take: Take, connections: int = 1) -> str:
        """Tell a device to dial, and return the token of the call.

        Parameters
        ----------
        device : int
            Whom to call.
        take : Callable
            Is given each connection that shows the token.
        connections : int
            How many may show it.

        Raises
        ------
        OSError
            The device has no stream open, or too many calls are under way.
        """
        with self._lock:
            stream = self._streams.get(device)
        if stream is None:
            raise OSError(f"device {device} has not dialed")
        token = self._expect(take, connections)
        try:
            stream.say({"open": token})
        except OSError:
            self.forget(token)
            self.leave(device, stream)
            stream.close()
            raise
        return token

    def connect(self, device: int, seconds: float = CALL_SECONDS) -> socket.socket:
        """Call a device and return the connection that it dials.

        Raises
        ------
        OSError
            It has no stream open here, or does not dial in time.
        """
        arrived, found = threading.Event(), list[socket.socket]()

        def take(connection: socket.socket) -> None:
            found.append(connection)
            arrived.set()

        token = self.call(device, take)
        if not arrived.wait(seconds):
            self.forget(token)
            if not found:  # else it came in the last moment
                raise OSError(f"device {device} was called, and has not dialed")
        return found[0]

    def answer(self, token: str, connection: socket.socket) -> bool:
        """Hand a connection to the call whose token it shows; False where there is none."""
        with self._lock:
            call = self._calls.get(token)
            if call is None:
                return False
            call.left -= 1
            if call.left <= 0:
                self._drop(token)
        call.take(connection)
        return True

    def forget(self, token: str) -> None:
        """End a call: its token opens nothing any more."""
        with self._lock:
            self._drop(token)

    def close(self) -> None:
        """Close all streams and end all calls."""
        with self._lock:
            streams, self._streams = list(self._streams.values()), {}
            for token in list(self._calls):
                self._drop(token)
        for stream in streams:
            stream.close()

    def _expect(self, take: Take, connections: int) -> str:
        token = secrets.token_hex(TOKEN_LENGTH // 2)
        call = _Call(take, connections)
        call.expires = threading.Timer(CALL_SECONDS, self.forget, [token])
        call.expires.daemon = True
        with self._lock:
            if len(self._calls) >= _MOST_CALLS:
                raise OSError("too many calls are under way")
            self._calls[token] = call
        call.expires.start()
        return token

    def _drop(self, token: str) -> None:
        call = self._calls.pop(token, None)
        if call is not None and call.expires is not None:
            call.expires.cancel()


class Pairing:
    """Joins the two connections of a call between devices that both can only dial out."""

    def __init__(self, joined: Callable[[socket.socket, socket.socket], None]) -> None:
        self._joined = joined
        self._first: socket.socket | None = None
        self._lock = threading.Lock()
        self._expires = threading.Timer(2 * CALL_SECONDS, self._expire)
        self._expires.daemon = True
        self._expires.start()

    def take(self, connection: socket.socket) -> None:
        """Keep the first connection, and join the second to it."""
        with self._lock:
            first, self._first = self._first, connection
        if first is not None:
            self._expires.cancel()
            self._joined(first, connection)

    def _expire(self) -> None:
        with self._lock:
            first = self._first
        if first is not None:
            end(first)
