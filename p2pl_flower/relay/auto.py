"""The relay that suits where a run takes place: what is used unless another is given."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..named_arrays import Model
from .base import Relay
from .file import FileRelay
from .mailbox import Mailbox
from .ray import RayRelay, cluster_nodes


class AutoRelay(Relay):
    """`RayRelay` on a Ray cluster of several nodes, `FileRelay` everywhere else.

    A simulation is on such a cluster if ``RAY_ADDRESS`` says so before it starts.
    """

    observable = True

    def __init__(self) -> None:
        self._file, self._ray = FileRelay(), RayRelay()
        self._chosen: dict[int, Relay] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Leave the choice behind: another process sees what is open there."""
        return {"_file": self._file, "_ray": self._ray, "_chosen": {}}

    def open(self, run: int) -> None:
        """Choose, once Ray is there where it is to come, and open what was chosen."""
        chosen = self._ray if cluster_nodes() > 1 else self._file
        chosen.open(run)
        self._chosen[run] = chosen

    def admit(self, run: int, neighbors: Mapping[int, Collection[int]]) -> None:
        """Set who may collect from whom."""
        self._of(run).admit(run, neighbors)

    def mailbox(self, run: int, device: int) -> Mailbox:
        """Return a device's mailbox, from any process of the run."""
        return self._of(run).mailbox(run, device)

    def observe(self, run: int, channel: str) -> dict[int, Model]:
        """Return every device's newest publication."""
        return self._of(run).observe(run, channel)

    def close(self, run: int) -> None:
        """Close what was opened."""
        self._chosen.pop(run, self._file).close(run)

    def put(self, run: int, key: str, arrays: Model | None) -> None:
        """Keep arrays where they are files."""
        self._of(run).put(run, key, arrays)

    def get(self, run: int, key: str) -> Model | None:
        """Return arrays where they are files."""
        return self._of(run).get(run, key)

    def _of(self, run: int) -> Relay:
        """Return what was chosen; in another process, what is found open there."""
        if run not in self._chosen:
            self._chosen[run] = self._file if self._file.is_open(run) else self._elsewhere(run)
        return self._chosen[run]

    def _elsewhere(self, run: int) -> Relay:
        relay = self._ray if cluster_nodes() > 1 else self._file
        relay.mailbox(run, 0)  # where it is not open, this says so
        return relay
