"""A link on loopback that delays and throttles what passes: a TCP proxy within this process."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from queue import Queue
from types import TracebackType

_CHUNK = 1 << 16
_END = b""


class SlowLink:
    """Passes connections on to an address.

    Parameters
    ----------
    target : str
        ``host:port`` to pass on to.
    delay : float
        Seconds that every byte, and the end of a connection, takes in each direction.
    bytes_per_second : float
        How much passes in each direction of a connection.

    Attributes
    ----------
    address : str
        ``host:port`` of the link.
    passed : int
        Bytes that came from the target.
    """

    def __init__(self, target: str, delay: float = 0.0, bytes_per_second: float = 1e12) -> None:
        host, _, port = target.rpartition(":")
        self._target, self._delay, self._rate = (host, int(port)), delay, bytes_per_second
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self.passed = 0
        self._sockets: list[socket.socket] = [self._listening]

    def __enter__(self) -> SlowLink:
        self._start(self._accept)
        return self

    def __exit__(self, kind: object, error: object, trace: TracebackType | None) -> None:
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def break_off(self) -> None:
        """Break all connections; new ones are taken."""
        held, self._sockets = self._sockets[1:], self._sockets[:1]
        for each in held:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()  # what was not read yet breaks the other end, too

    def _start(self, function, *arguments) -> None:
        threading.Thread(target=function, args=arguments, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            self._start(self._connect, near)

    def _connect(self, near: socket.socket) -> None:
        time.sleep(self._delay * 2)  # a connection is there after one way to and fro
        try:
            far = socket.create_connection(self._target)
        except OSError:
            near.close()
            return
        self._sockets += [near, far]
        for source, sink, counts in ((near, far, False), (far, near, True)):
            pipe: Queue[tuple[float, bytes]] = Queue(maxsize=64)
            self._start(self._read, source, pipe, counts)
            self._start(self._write, sink, pipe)

    def _read(self, source: socket.socket, pipe: Queue, counts: bool) -> None:
        while True:
            try:
                data = source.recv(min(_CHUNK, int(self._rate // 10) + 1))
            except OSError:
                data = _END
            pipe.put((time.monotonic() + self._delay, data))
            if data == _END:
                return
            self.passed += len(data) if counts else 0
            time.sleep(len(data) / self._rate)

    def _write(self, sink: socket.socket, pipe: Queue) -> None:
        while True:
            due, data = pipe.get()
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                if data == _END:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(data)
            except OSError:
                return
