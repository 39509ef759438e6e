"""Ending a process that serves."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


def wait_for_a_signal() -> None:
    """Return when the process is told to end, by SIGTERM or Ctrl-C."""
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    with contextlib.suppress(KeyboardInterrupt):
        told.wait()


@contextlib.contextmanager
def as_ctrl_c() -> Iterator[None]:
    """Let SIGTERM and SIGHUP do what Ctrl-C does, within a block: what is begun is cleaned up."""
    numbers = [signal.SIGTERM, *filter(None, [getattr(signal, "SIGHUP", None)])]
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
