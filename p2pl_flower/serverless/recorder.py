"""What a device keeps of its run: its checkpoint, and the history of what was measured."""

from __future__ import annotations

import dataclasses
import errno
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flwr.app import RecordDict

from ..errors import ConfigError
from ..flower.metrics import RoundMetrics
from ..history import History, Run, environment
from ..relay.contents import MODEL, STATE
from ..relay.grpc.own_publications import OwnPublications
from ..relay.grpc.transfer_statistics import TransferStatistics
from ..system.files import write_text
from .checkpoint import Checkpoint, State
from .folder_lock import FolderLock
from .reports import Report
from .settings import Settings

log = logging.getLogger("flwr.p2pl")

_KNOWN = "known"


class Recorder:
    """A device's measurements, on disk after every round where the settings say so.

    Parameters
    ----------
    settings : Settings
        The device's settings.
    publications : OwnPublications
        Its mailbox, which the checkpoint holds.
    statistics : TransferStatistics
        What became of neighbors' answers.

    Attributes
    ----------
    metrics : RoundMetrics
        The rounds.
    setup : dict[str, Any]
        What belongs to no round: the synchronization, and the rounds that were skipped.
    known : Mapping[str, Any]
        What the device knew of its neighbors, in JSON's types, if it goes on from a checkpoint.
    """

    def __init__(
        self, settings: Settings, publications: OwnPublications, statistics: TransferStatistics
    ) -> None:
        self._settings, self._publications, self._statistics = settings, publications, statistics
        self.metrics = RoundMetrics()
        self.setup: dict[str, Any] = {"skipped_rounds": [], "models": {"asked": 0, "arrived": 0}}
        self.known: Mapping[str, Any] = {}
        self._earlier: dict[str, dict[str, int]] = {}
        self._environment = environment()
        self._checkpoint: Checkpoint | None = None
        self._lock: FolderLock | None = None
        if settings.checkpoint:
            self._lock = FolderLock(Path(settings.checkpoint))
            identity = {**settings.common(), "run": settings.run, "device": settings.device}
            self._checkpoint = Checkpoint(Path(settings.checkpoint), identity)

    def close(self) -> None:
        """Leave the checkpoint's folder to others."""
        if self._lock is not None:
            self._lock.close()

    def resume(self) -> State | None:
        """Return what the checkpoint holds, having filled the mailbox; None without one."""
        state = self._checkpoint.load(self._publications) if self._checkpoint else None
        if state is not None:
            self.setup |= state.run.setup
            self._earlier = self.setup.pop("answers", {})
            self.known = self.setup.pop(_KNOWN, {})
            self.metrics.rounds.extend(state.run.rounds)
        return state

    def save(self, done: int, context: RecordDict, known: Mapping[str, Any]) -> None:
        """Write the checkpoint after round ``done``, and the history."""
        run = self.run()
        if self._checkpoint is not None:
            kept = dataclasses.replace(run, setup={**run.setup, _KNOWN: known})
            self._checkpoint.save(State(done, kept, context), self._publications, (MODEL, STATE))
        if self._settings.history:
            self._write_history(run)

    def count(self, report: Report) -> None:
        """Count the neighbors' models that a round asked for, and those that arrived."""
        models = self.setup["models"]
        self.setup["models"] = {
            "asked": models["asked"] + report.asked,
            "arrived": models["arrived"] + report.arrived,
        }

    def run(self) -> Run:
        """Return what was measured so far, in this process and in those before it."""
        answers = {str(j): counts for j, counts in self._statistics.counts().items()}
        for j, counts in self._earlier.items():
            now = answers.get(j, {})
            kinds = sorted(now.keys() | counts.keys())
            answers[j] = {kind: now.get(kind, 0) + counts.get(kind, 0) for kind in kinds}
        setup = {**self.setup, "answers": dict(sorted(answers.items()))}
        seed = self._settings.options.seed
        return Run("p2pl", "network", seed, 1, setup, self.metrics.rounds)

    def _write_history(self, run: Run) -> None:
        path = self._settings.history
        try:
            write_text(Path(path), self._history(run).to_json())
        except OSError as error:
            if error.errno == errno.ENOSPC:
                log.warning("the history is not written after this round: %s", error.strerror)
                return
            raise ConfigError("history", path, f"cannot be written: {error.strerror}") from None

    def _history(self, run: Run) -> History:
        scenario = {"device": self._settings.device, "app": self._settings.app}
        scenario |= dict(self._settings.common()) | dict(self._settings.run_config)
        return History(scenario, self._environment, [run])
