"""Who is being answered: no neighbor gets more than its share of the threads that answer."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from .protocol import Refusal, RefusedError

MOST_STREAMS = 4
"""Publications that are being waited for or sent to one neighbor at the same time. It needs one,
and another while the one before it comes to its end; a relay daemon serves two runs at once."""


class Streams:
    """Counts the streams to each neighbor.

    Parameters
    ----------
    most : int
        Streams that a neighbor may have at the same time.
    """

    def __init__(self, most: int = MOST_STREAMS) -> None:
        self._most = most
        self._open: Counter[int] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def one_of(self, neighbor: int) -> Iterator[None]:
        """Count a stream until it ends.

        Raises
        ------
        RefusedError
            The neighbor has as many as it may have.
        """
        with self._lock:
            if self._open[neighbor] >= self._most:
                rule = f"device {neighbor} asks for more than {self._most} models at the same time"
                raise RefusedError(Refusal.BUSY, rule)
            self._open[neighbor] += 1
        try:
            yield
        finally:
            with self._lock:
                self._open[neighbor] -= 1


class Calls:
    """The calls that are being answered, by who makes them."""

    def __init__(self) -> None:
        self._open: dict[int, set[Any]] = defaultdict(set)
        self._lock = threading.Lock()

    @contextmanager
    def one_of(self, neighbor: int, call: grpc.ServicerContext) -> Iterator[None]:
        """Note a call until it ends."""
        with self._lock:
            self._open[neighbor].add(call)
        try:
            yield
        finally:
            with self._lock:
                self._open[neighbor].discard(call)

    def end(self, neighbors: Collection[int]) -> None:
        """End the calls of these neighbors."""
        with self._lock:
            calls = [call for neighbor in neighbors for call in self._open.get(neighbor, ())]
        for call in calls:
            call.cancel()
