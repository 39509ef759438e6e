"""What a running peer says of itself, to who may use its checkpoint's folder: a local socket."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..history import Round
from ..relay.grpc import Endpoint
from .settings import Settings

FILE = "status.sock"
_OWNER_ALONE = 0o600
_SECONDS = 5.0
_MOST = 1 << 22

Describe = Callable[[], Mapping[str, Any]]


def description(
    settings: Settings, endpoint: Endpoint, done: int, measured: Sequence[Round] = ()
) -> dict[str, Any]:
    """Return what a peer says of itself after ``done`` rounds, in JSON's types.

    Of the rounds that it has measured it says the last accuracy, if there is one, and the bytes
    of models that it has received in all.
    """
    scored = [r.after_consensus.accuracy for r in measured if r.after_consensus]
    accuracy = next((spread.mean for spread in reversed(scored) if spread), None)
    told = {"device": settings.device, "run": settings.run, "address": endpoint.address}
    told |= {"done": done, "rounds": settings.rounds, "accuracy": accuracy}
    told |= {"received": sum(r.bytes_sent or 0 for r in measured)}
    return {**told, "neighbors": endpoint.describe()}


class StatusSocket:
    """Answers whoever connects with one JSON object, and closes the connection.

    Parameters
    ----------
    folder : Path
        Where the socket's file is made, for this user alone. Where that cannot be (a path that is
        too long, a system without such sockets) there is none.
    describe : Callable
        Returns what to say.
    """

    def __init__(self, folder: Path, describe: Describe) -> None:
        self._path, self._describe = folder / FILE, describe
        self._listening: socket.socket | None = None
        with contextlib.suppress(OSError, AttributeError):
            self._listening = _listen(self._path)
        if self._listening is not None:
            threading.Thread(target=self._answer, name="p2pl-status", daemon=True).start()

    def close(self) -> None:
        """Answer no more."""
        if self._listening is not None:
            with contextlib.suppress(OSError):
                self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()
            self._path.unlink(missing_ok=True)
            self._listening = None

    def _answer(self) -> None:
        listening = self._listening
        while listening is not None:
            try:
                caller, _ = listening.accept()
            except OSError:
                return
            with caller, contextlib.suppress(OSError):
                caller.settimeout(_SECONDS)
                caller.sendall(json.dumps(self._describe()).encode())


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)  # of a peer that was killed: the folder is this one's now
    listening = socket.socket(socket.AF_UNIX)
    try:
        listening.bind(str(path))
        path.chmod(_OWNER_ALONE)  # before it listens: until then nobody can connect
        listening.listen(8)
    except OSError:
        listening.close()
        raise
    return listening


def ask(folder: Path) -> dict[str, Any]:
    """Return what the peer whose checkpoint is in a folder says of itself.

    Raises
    ------
    ConfigError
        None is running there, or it does not answer.
    """
    said = bytearray()
    try:
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(_SECONDS)
            asking.connect(str(folder / FILE))
            while (part := asking.recv(1 << 16)) and len(said) < _MOST:
                said += part
        found: dict[str, Any] = json.loads(said)
    except (OSError, ValueError):
        rule = (
            "no peer is running there: name the folder that a running device's `checkpoint` names"
        )
        raise ConfigError("state", str(folder), rule) from None
    return found
