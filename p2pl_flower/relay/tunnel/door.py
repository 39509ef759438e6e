"""The port of a device (or of a rendezvous): sorts connections by what they begin with."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Collection, Mapping

from ...errors import ConfigError
from ...system import open_files
from .control import CONTROL, DATA, SILENCE_SECONDS, TOKEN_LENGTH, ControlStream
from .identity import HANDSHAKE_SECONDS, caller_of
from .pump import end, join, keep_alive
from .registry import Pairing, Registry

log = logging.getLogger("flwr.p2pl")

_FIRST_SECONDS = 10.0
_BACKLOG = 128
_FILES_EACH = 3  # the connection, and both ends of the one to the server behind the door

Inner = Callable[[], socket.socket]
Serve = Callable[[socket.socket], None]


class Door:
    """Listens at one port for direct connections, control streams, and calls that are answered.

    Parameters
    ----------
    listen : str
        ``host:port``; port 0 takes a free one.
    context : ssl.SSLContext or None
        Of control streams; None to go without TLS.
    inner : Callable or None
        Dials the gRPC server behind the door; None where there is none.
    passes_on : bool
        Whether devices may be connected to each other here.
    most_connections : int, optional
        Connections at the same time, of all kinds together; unless given, so many that with
        what each of them opens they take half of the files that the process may have open.
    others : Mapping[bytes, Callable], optional
        Who serves connections that begin with other lines.

    Attributes
    ----------
    registry : Registry
        Who has dialed.
    port : int
        The port.

    Raises
    ------
    ConfigError
        The address cannot be listened at.
    """

    def __init__(
        self,
        listen: str,
        context: ssl.SSLContext | None,
        inner: Inner | None,
        passes_on: bool = False,
        most_connections: int | None = None,
        others: Mapping[bytes, Serve] | None = None,
    ) -> None:
        self._context, self._inner, self._passes_on = context, inner, passes_on
        self.registry = Registry()
        self._others = dict(others or {})
        self._admitted: frozenset[int] | None = None
        self._expelled: frozenset[int] = frozenset()
        self._places = threading.BoundedSemaphore(most_connections or _most())
        self._socket = _listening(listen)
        self.port = int(self._socket.getsockname()[1])
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._accept, name="p2pl-door", daemon=True)

    def start(self) -> None:
        """Begin to accept."""
        self._thread.start()

    def admit(self, devices: Collection[int] | None) -> None:
        """Set whose control streams are taken; None, as at first, is all of the group."""
        self._admitted = None if devices is None else frozenset(devices)

    def expel(self, devices: Collection[int]) -> None:
        """Take no control streams of these devices any more, and end those that are open."""
        self._expelled = frozenset(devices)
        for device in devices:
            self.registry.drop(device)

    def close(self) -> None:
        """Stop listening and end all control streams."""
        self._closed.set()
        end(self._socket)
        self.registry.close()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError as error:
                if self._closed.wait(0.1):
                    return
                log.warning("a connection could not be accepted: %s", error.strerror)
                continue
            if not self._places.acquire(blocking=False):
                connection.close()  # as many as there may be: whoever it is can try again
                continue
            try:
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()
            except RuntimeError:  # there are as many threads as there may be
                self._places.release()
                connection.close()

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(_FIRST_SECONDS)
            self._sort(connection)
        except (OSError, ValueError):
            end(connection)
        finally:
            self._places.release()

    def _sort(self, connection: socket.socket) -> None:
        first = connection.recv(len(CONTROL), socket.MSG_PEEK)
        if first[:1] != CONTROL[:1] or first[:4] == b"PRI ":  # TLS, or HTTP/2 without it
            if self._inner is None:
                raise OSError("there is no relay behind this door")
            join(connection, self._inner())
            return
        line = _line(connection)
        if line == CONTROL:
            self._control(connection)
        elif line in self._others:
            self._others[line](connection)
        elif not self._answered(line, connection):
            raise OSError("shows no token of a call")

    def _answered(self, line: bytes, connection: socket.socket) -> bool:
        token = line.removeprefix(DATA).strip().decode("ascii", "replace")
        return line.startswith(DATA) and self.registry.answer(token, connection)

    def _control(self, plain: socket.socket) -> None:
        """Serve a control stream until it ends."""
        keep_alive(plain)
        connection = plain
        if self._context is not None:
            plain.settimeout(HANDSHAKE_SECONDS)
            connection = self._context.wrap_socket(plain, server_side=True)
        stream = ControlStream(connection)
        try:
            said = stream.hear(HANDSHAKE_SECONDS) or {}
            device = caller_of(connection, said.get("from"))
            if device is None or not self._is_welcome(device):
                stream.say({"refused": "this device is on no list here"})
                return
            try:  # who has been welcomed can be called
                stream.say({"welcome": device}, lambda: self.registry.enter(device, stream))
                self._listen_to(stream)
            finally:
                self.registry.leave(device, stream)
        finally:
            stream.close()

    def _is_welcome(self, device: int) -> bool:
        if device in self._expelled:
            return False
        return self._passes_on or self._admitted is None or device in self._admitted

    def _listen_to(self, stream: ControlStream) -> None:
        while (said := stream.hear(SILENCE_SECONDS)) is not None:
            if "connect" in said:
                stream.say({**self._connected(said["connect"]), "call": said.get("call")})
            else:
                stream.say({"pong": 1})

    def _connected(self, device: object) -> dict[str, str]:
        """Call a device for another one, and return the token for both, or why not."""
        if not self._passes_on:
            return {"refused": "devices are not connected to each other here"}
        if type(device) is not int:
            return {"refused": "a device is an integer"}
        pairing = Pairing(lambda one, other: _joined(self._places, one, other))
        try:
            return {"token": self.registry.call(device, pairing.take, 2)}
        except OSError as error:
            return {"refused": str(error)}


def _joined(places: threading.BoundedSemaphore, one: socket.socket, other: socket.socket) -> None:
    """Carry bytes between two devices; both connections count as long as they last."""
    if not places.acquire(blocking=False):
        end(one)
        end(other)
        return
    try:
        join(one, other)
    finally:
        places.release()


def _most() -> int:
    return max(8, open_files.limit() // (2 * _FILES_EACH))


def _line(connection: socket.socket) -> bytes:
    """Read up to the first end of line, and not a byte more: what follows is another's."""
    line, end = b"", time.monotonic() + _FIRST_SECONDS
    while not line.endswith(b"\n"):
        connection.settimeout(max(0.01, end - time.monotonic()))
        byte = connection.recv(1)
        if not byte or len(line) > len(DATA) + TOKEN_LENGTH:
            raise OSError("begins with no line that is known")
        line += byte
    return line


def _listening(listen: str) -> socket.socket:
    host, _, port = listen.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
        family, kind, _, _, place = found[0]
        made = socket.socket(family, kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(place)
        made.listen(_BACKLOG)
    except (OSError, ValueError):
        rule = "cannot be listened at: the port is in use, or the address is not this machine's"
        raise ConfigError("listen", listen, rule) from None
    return made
