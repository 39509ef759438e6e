"""Worker threads: chunks of devices side by side, each on one core."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from ..system.allocator import keep_for_reuse

Ids = NDArray[np.int64]

T = TypeVar("T")
W = TypeVar("W")


class Do(Protocol):
    """Does a task on all items, side by side or in turn."""

    def __call__(self, task: Callable[[T], None], items: Iterable[T]) -> None:
        """Do it, and wait."""


def in_turn(task: Callable[[T], None], items: Iterable[T]) -> None:
    """Do a task on one item after the other."""
    for item in items:
        task(item)


class Workers(Generic[W]):
    """A pool of threads, each with a tool of its own; a context manager.

    PyTorch lets go of Python's lock while it computes, so that threads do what processes
    would, with one copy of the models. Within each of several threads PyTorch uses one core.

    Parameters
    ----------
    make_tool : Callable[[], W]
        Makes a thread's tool, before its first task.
    count : int
        Number of threads.
    keep_memory : bool
        Whether the C library is told to keep freed memory at hand, in the whole process.

    Attributes
    ----------
    count : int
        Number of threads.
    """

    def __init__(self, make_tool: Callable[[], W], count: int, keep_memory: bool = False) -> None:
        self._local, self.count = threading.local(), count
        self._threads_before = torch.get_num_threads()
        self._make_tool = make_tool
        if keep_memory:
            keep_for_reuse()
        self._pool = ThreadPoolExecutor(count, initializer=self._begin)

    def map(self, task: Callable[[W, T], None], items: Iterable[T]) -> None:
        """Do a task on all items and wait; an error of any is raised."""
        futures = [self._pool.submit(self._do, task, item) for item in items]
        for future in futures:
            future.result()

    def do(self, task: Callable[[T], None], items: Iterable[T]) -> None:
        """Do a task that needs no tool on all items and wait; an error of any is raised."""
        self.map(lambda _, item: task(item), items)

    def chunks(self, ids: Ids, most: int) -> list[Ids]:
        """Cut ids into chunks of ``most`` at most (see `cut`)."""
        return cut(ids, most, self.count)

    def __enter__(self) -> Workers[W]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(cancel_futures=True)
        torch.set_num_threads(self._threads_before)

    def _begin(self) -> None:
        if self.count > 1:
            torch.set_num_threads(1)
        self._local.tool = self._make_tool()

    def _do(self, task: Callable[[W, T], None], item: T) -> None:
        task(self._local.tool, item)


def cut(ids: Ids, most: int, workers: int) -> list[Ids]:
    """Cut ids into chunks of ``most`` at most.

    They are as many for every worker, so that none waits for the others.
    """
    share = -(-len(ids) // (most * workers)) * workers
    return np.array_split(ids, min(share, len(ids))) if len(ids) else []
