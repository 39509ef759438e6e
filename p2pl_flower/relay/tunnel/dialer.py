"""The side that can only dial out: keeps control streams to hosts, and answers their calls."""

from __future__ import annotations

import contextlib
import itertools
import logging
import random
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

from .control import CONTROL, DATA, PING_SECONDS, TOKEN_LENGTH, ControlStream
from .identity import HANDSHAKE_SECONDS
from .pump import end, join, keep_alive
from .registry import CALL_SECONDS

log = logging.getLogger("flwr.p2pl")

_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.2, 10.0
_MOST_CALLS = 64

Inner = Callable[[], socket.socket]


class Dialer:
    """A control stream to one host, kept open: a break is followed by another attempt.

    Parameters
    ----------
    address : str
        ``host:port`` of the host.
    device : int
        The device that dials.
    context : ssl.SSLContext or None
        None to go without TLS.
    inner : Callable
        Dials the device's own gRPC server.
    """

    def __init__(
        self, address: str, device: int, context: ssl.SSLContext | None, inner: Inner
    ) -> None:
        self.address, self._device, self._context, self._inner = address, device, context, inner
        self._stream: ControlStream | None = None
        self._answers: dict[int, tuple[threading.Event, dict[str, Any]]] = {}
        self._calls = itertools.count(1)
        self._closed = threading.Event()
        self._refused = ""
        self._places = threading.BoundedSemaphore(_MOST_CALLS)
        self._thread = threading.Thread(target=self._keep, name="p2pl-dialer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the stream, and dial no more."""
        self._closed.set()
        stream = self._stream
        if stream is not None:
            stream.close()

    def connect(self, device: int) -> socket.socket:
        """Return a connection to another device that can only dial out, through the host.

        Raises
        ------
        OSError
            There is no stream to the host now, or it cannot connect the two.
        """
        stream, number = self._stream, next(self._calls)
        if stream is None:
            raise OSError(f"{self.address} cannot be reached")
        answered, answer = self._answers[number] = threading.Event(), {}
        try:
            stream.say({"connect": device, "call": number})
            if not answered.wait(CALL_SECONDS):
                raise OSError(f"{self.address} does not answer")
        finally:
            del self._answers[number]
        if "token" not in answer:
            raise OSError(f"{self.address} says: {str(answer.get('refused'))[:200]!r}")
        return self._answering(str(answer["token"]))

    def _keep(self) -> None:
        backoff = _FIRST_BACKOFF
        while not self._closed.is_set():
            try:
                stream = self._opened()
                backoff = _FIRST_BACKOFF
                self._serve(stream)
            except (OSError, ValueError) as error:
                log.debug("device %d: %s: %s", self._device, self.address, error)
            finally:
                self._stream = None
            self._closed.wait(backoff * random.uniform(0.5, 1.0))  # noqa: S311
            backoff = min(2 * backoff, _LONGEST_BACKOFF)

    def _opened(self) -> ControlStream:
        """Dial the host, and return a stream over which it has said welcome."""
        connection = self._dialed()
        try:
            connection.sendall(CONTROL)
            if self._context is not None:
                connection.settimeout(HANDSHAKE_SECONDS)
                connection = self._context.wrap_socket(connection)
            stream = ControlStream(connection)
            stream.say({"from": self._device})
            answer = stream.hear(HANDSHAKE_SECONDS) or {}
        except (OSError, ValueError):
            end(connection)
            raise
        if "welcome" not in answer:
            self._warn(str(answer.get("refused"))[:200])
            stream.close()
            raise OSError("refused")
        return stream

    def _serve(self, stream: ControlStream) -> None:
        """Answer calls over a stream until it ends."""
        self._stream, self._refused = stream, ""
        try:
            while not self._closed.is_set() and not stream.silent:
                said = stream.hear(PING_SECONDS)
                if said is None:
                    stream.say({"ping": 1})
                elif "open" in said:
                    self._begin_call(str(said["open"]))
                elif isinstance(number := said.get("call"), int) and number in self._answers:
                    answered, answer = self._answers[number]
                    answer.update(said)
                    answered.set()
        finally:
            stream.close()

    def _begin_call(self, token: str) -> None:
        """Answer a call in a thread of its own; those beyond the most are not answered."""
        if self._places.acquire(blocking=False):
            threading.Thread(target=self._open, args=(token,), daemon=True).start()

    def _open(self, token: str) -> None:
        """Dial for a call, and let what comes over it reach the own server."""
        try:
            with contextlib.suppress(OSError, ValueError):
                connection = self._answering(token)
                try:
                    own = self._inner()
                except OSError:
                    end(connection)
                    raise
                join(connection, own)
        finally:
            self._places.release()

    def _answering(self, token: str) -> socket.socket:
        """Return a connection to the host that has shown a call's token."""
        if len(token) != TOKEN_LENGTH or not token.isalnum() or not token.isascii():
            raise OSError(f"{self.address} gives a token that is none")
        connection = self._dialed()
        connection.sendall(DATA + token.encode() + b"\n")
        return connection

    def _dialed(self) -> socket.socket:
        host, _, port = self.address.rpartition(":")
        connection = socket.create_connection((host.strip("[]"), int(port)), HANDSHAKE_SECONDS)
        keep_alive(connection)
        return connection

    def _warn(self, reason: str) -> None:
        """Say once in a row that a host does not want the device."""
        if reason != self._refused:
            self._refused = reason
            log.warning("device %d: refused at %s: %r", self._device, self.address, reason)
