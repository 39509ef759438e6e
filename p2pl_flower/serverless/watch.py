"""Looks for neighbors that are absent, beside the rounds, which need not wait for it."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

from ..relay.grpc import Endpoint
from .handshake import Handshake

_PAUSE_SECONDS = 0.5
_PATIENCE_SECONDS = 20.0  # a link that is slow takes some to connect


class Watch:
    """Greets absent neighbors again and again, until they answer.

    Parameters
    ----------
    endpoint : Endpoint
        Knows who is absent.
    handshake : Handshake
        Greets.
    """

    def __init__(self, endpoint: Endpoint, handshake: Handshake) -> None:
        self._endpoint, self._handshake = endpoint, handshake
        self._over = threading.Event()
        self._under_way: dict[int, Future[Any]] = {}
        self._thread = threading.Thread(target=self._watch, name="p2pl-watch", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Come to an end."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_PAUSE_SECONDS):
            whom = self._handshake.unmet() | set(self._endpoint.unreachable)
            for neighbor in whom & self._handshake.neighbors:
                greeting = self._under_way.get(neighbor)
                if greeting is None or greeting.done():
                    self._under_way[neighbor] = self._endpoint.pool.submit(
                        self._handshake.greet, neighbor, _PATIENCE_SECONDS
                    )
