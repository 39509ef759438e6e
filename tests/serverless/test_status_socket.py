"""The socket over which a running peer is asked how it does."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from p2pl_flower.serverless.status import FILE, StatusSocket, ask


def mask() -> int:
    now = os.umask(0)
    os.umask(now)
    return now


def test_it_is_the_owners_alone_and_says_what_it_is_told(tmp_path: Path) -> None:
    socket = StatusSocket(tmp_path, lambda: {"done": 3})
    try:
        assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
        assert ask(tmp_path) == {"done": 3}
    finally:
        socket.close()


def test_sockets_made_side_by_side_leave_the_process_as_it_was(tmp_path: Path) -> None:
    before, made = mask(), []
    folders = [tmp_path / str(number) for number in range(40)]
    for folder in folders:
        folder.mkdir()
    begin = threading.Barrier(len(folders))

    def make(folder: Path) -> None:
        begin.wait()
        made.append(StatusSocket(folder, dict))

    threads = [threading.Thread(target=make, args=(folder,)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert mask() == before
    for socket in made:
        socket.close()
