"""The messages of a call, from an iterator that always comes to its end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from typing import Any

from .protocol import Refusal, RefusedError

_AHEAD = 2  # messages that are read before they are asked for
_LOST_SECONDS = 0.5


def messages(call: Any) -> Iterator[bytes]:
    """Pass on what a streaming call brings.

    gRPC's own iterator can wait for ever: where a neighbor is killed and its port refuses the next
    connection, a call was seen (grpcio 1.85) to end while the message that was asked for never
    came, nor the news that there is none. So a thread of its own waits for messages. Where it
    still does so `_LOST_SECONDS` after the call has ended, it is left to the process's end.

    Raises
    ------
    grpc.RpcError
        The call failed.
    RefusedError
        It has ended, and gRPC does not say how.
    """
    reader = _Reader(call)
    try:
        while (message := reader.next()) is not None:
            yield message
    finally:
        reader.close()


class _Reader:
    """Reads a call's messages in a thread of its own."""

    def __init__(self, call: Any) -> None:
        self._call, self._closed = call, False
        self._came: SimpleQueue[tuple[bytes | None, Exception | None]] = SimpleQueue()
        self._room = threading.Semaphore(_AHEAD)
        self._ended = threading.Event()
        if not call.add_callback(self._ended.set):  # it has ended already
            self._ended.set()
        threading.Thread(target=self._read, name="p2pl-read", daemon=True).start()

    def next(self) -> bytes | None:
        """Return the next message, or None after the last."""
        had_ended = False
        while True:
            try:
                message, error = self._came.get(timeout=_LOST_SECONDS)
            except Empty:
                if had_ended:
                    rule = "the call has ended, and gRPC does not say how"
                    raise RefusedError(Refusal.ABSENT, rule) from None
                had_ended = self._ended.is_set()
                continue
            self._room.release()
            if error is not None:
                raise error
            return message

    def close(self) -> None:
        """Read no more."""
        self._closed = True
        self._room.release()

    def _read(self) -> None:
        try:
            while True:
                self._room.acquire()
                if self._closed:
                    return
                message = next(self._call, None)
                self._came.put((message, None))
                if message is None:
                    return
        except Exception as error:
            self._came.put((None, error))
