"""Ends all that has a Flower home when standard input ends: ``python reaper.py HOME``.

``flwr run`` leaves a SuperLink behind, and that starts more. In a process of its own this ends
them after tests that were killed, too. One whose Ray cluster has ended is deaf to anything but
a kill: its threads ask for the workers' logs without a pause.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

GRACE = 10.0


def living(home: str) -> list[int]:
    """Return the processes that have this Flower home, and this one not."""
    mark, found = f"FLWR_HOME={home}".encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return [pid for pid in found if pid != os.getpid()]


def end(home: str) -> None:
    """Ask all to end, and kill those that have not within the grace."""
    asked: set[int] = set()
    deadline = time.monotonic() + GRACE
    while pids := living(home):
        late = time.monotonic() > deadline
        for pid in pids if late else set(pids) - asked:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
        asked |= set(pids)
        time.sleep(0.1)


if __name__ == "__main__":
    sys.stdin.read()
    end(sys.argv[1])
