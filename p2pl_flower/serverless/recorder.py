"""What a device keeps of its run: its checkpoint, and the history of what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flwr.app import RecordDict

from ..files import write_text
from ..flower.metrics import RoundMetrics
from ..history import History, Run, environment
from ..relay.contents import MODEL, STATE
from ..relay.grpc.own_publications import OwnPublications
from ..relay.grpc.transfer_statistics import TransferStatistics
from .checkpoint import Checkpoint, State
from .settings import Settings

_SAMPLES = "samples"


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
    keeper : RoundMetrics
        The rounds.
    setup : dict[str, Any]
        What belongs to no round: the synchronization, and the rounds that were skipped.
    """

    def __init__(
        self, settings: Settings, publications: OwnPublications, statistics: TransferStatistics
    ) -> None:
        self._settings, self._publications, self._statistics = settings, publications, statistics
        self.keeper = RoundMetrics()
        self.setup: dict[str, Any] = {"skipped_rounds": []}
        self._earlier: dict[str, dict[str, int]] = {}
        self._samples: dict[int, int] = {}
        self._environment = environment()
        self._checkpoint = None
        if settings.checkpoint:
            identity = {**settings.common(), "run": settings.run, "device": settings.device}
            self._checkpoint = Checkpoint(Path(settings.checkpoint), identity)

    def resume(self) -> State | None:
        """Return what the checkpoint holds, having filled the mailbox; None without one."""
        state = self._checkpoint.load(self._publications) if self._checkpoint else None
        if state is not None:
            self.setup |= state.run.setup
            self._earlier = self.setup.pop("answers", {})
            self._samples = {int(j): n for j, n in self.setup.pop(_SAMPLES, {}).items()}
            self.keeper.rounds.extend(state.run.rounds)
        return state

    def samples(self) -> dict[int, int]:
        """Return the numbers of samples that were known, by device."""
        return dict(self._samples)

    def save(self, done: int, context: RecordDict, samples: dict[int, int]) -> None:
        """Write the checkpoint after round ``done``, and the history."""
        run = self.run()
        if self._checkpoint is not None:
            known = {_SAMPLES: {str(j): count for j, count in samples.items()}}
            kept = Run(**{**vars(run), "setup": {**run.setup, **known}})
            self._checkpoint.save(State(done, kept, context), self._publications, (MODEL, STATE))
        if self._settings.history:
            write_text(Path(self._settings.history), self._history(run).to_json())

    def run(self) -> Run:
        """Return what was measured so far, in this process and in those before it."""
        answers = {str(j): counts for j, counts in self._statistics.counts().items()}
        for j, counts in self._earlier.items():
            now = answers.get(j, {})
            kinds = sorted(now.keys() | counts.keys())
            answers[j] = {kind: now.get(kind, 0) + counts.get(kind, 0) for kind in kinds}
        setup = {**self.setup, "answers": dict(sorted(answers.items()))}
        seed = self._settings.options.seed
        return Run("p2pl", "network", seed, 1, setup, self.keeper.rounds)

    def _history(self, run: Run) -> History:
        scenario = {"device": self._settings.device, "app": self._settings.app}
        scenario |= dict(self._settings.common()) | dict(self._settings.run_config)
        return History(scenario, self._environment, [run])
