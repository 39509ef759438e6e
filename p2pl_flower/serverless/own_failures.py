"""What becomes of a run in which the device's own functions fail: see `P2PL(on_failure=...)`."""

from __future__ import annotations

import logging
from typing import Any

from ..errors import DeviceError
from ..flower import failures

log = logging.getLogger("flwr.p2pl")

_KEY = "failures"


class FunctionError(DeviceError):
    """A function of the app's own failed."""


class OwnFailures:
    """Counts a device's own failures, and says them or raises them.

    Parameters
    ----------
    on_failure : str
        ``skip`` or ``raise``.
    setup : dict[str, Any]
        Where they are counted, by ``train`` and ``evaluate``; nothing is there without any.
    """

    def __init__(self, on_failure: str, setup: dict[str, Any]) -> None:
        self._on_failure, self._setup = on_failure, setup

    def sit_out(self, error: FunctionError, rounds: int) -> None:
        """Take note that training failed in a round, after so many rounds.

        Raises
        ------
        FunctionError
            It was to, or no training of this device has ever come to its end.
        """
        if self._on_failure == failures.RAISE or rounds <= self._count("train"):
            raise error
        log.warning("%s; this device sits out the round", error)
        self._add("train")

    def unscored(self, device: int, kind: str, reason: str) -> None:
        """Take note that scoring failed, or raise that it did."""
        error = failures.failure(device, kind, reason)
        if self._on_failure == failures.RAISE:
            raise error
        log.warning("%s; what it has trained counts, without scores", error)
        self._add("evaluate")

    def _count(self, function: str) -> int:
        return int(self._setup.get(_KEY, {}).get(function, 0))

    def _add(self, function: str) -> None:
        counts = dict(self._setup.get(_KEY, {}))
        self._setup[_KEY] = {**counts, function: self._count(function) + 1}
