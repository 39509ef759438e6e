"""Trackers of experiments as loggers: TensorBoard, Weights & Biases, MLflow.

Each is an optional extra of its name, imported when it is first told of a round. A run is ended
by ``close()`` or when its logger goes, at the end of the process at the latest.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..history import Round, Scores


def scalars(measured: Round) -> dict[str, float]:
    """Return what a round measured as numbers by name; what was not measured is left out.

    Names are those of a `Round`'s fields; of scores over devices there are
    ``after_consensus/accuracy/mean``, ``.../min``, ``.../max`` and ``.../std``, and so on for the
    loss, for every metric, and for what was scored ``after_training``.
    """
    named: dict[str, float] = {}
    for field in dataclasses.fields(measured):
        value = getattr(measured, field.name)
        if isinstance(value, Scores):
            named |= {f"{field.name}/{name}": v for name, v in _spreads(value)}
        elif isinstance(value, int | float) and field.name != "round":
            named[field.name] = float(value)
    return named


def _spreads(scores: Scores) -> Iterator[tuple[str, float]]:
    known = {"accuracy": scores.accuracy, "loss": scores.loss, **scores.metrics}
    for name, spread in known.items():
        if spread is not None:
            for kind, value in dataclasses.asdict(spread).items():
                yield f"{name}/{kind}", float(value)


class _Tracker:
    """Ends its run once, however it goes."""

    def close(self) -> None:
        """End the run, if a round was told."""
        if (end := self.__dict__.pop("_end", None)) is not None:
            end()

    def _end_by(self, function: Callable[..., object], *arguments: object) -> None:
        self.__dict__["_end"] = weakref.finalize(self, function, *arguments)


@dataclass(frozen=True)
class TensorBoard(_Tracker):
    """Writes event files that ``tensorboard --logdir DIR`` shows.

    Parameters
    ----------
    folder : str
        Where they go; a run has a folder of its name in it.
    run : str
        Whose rounds they are.
    """

    folder: str
    run: str = ""

    def __post_init__(self) -> None:
        _check("tensorboardX", "tensorboard")

    def on_round(self, measured: Round) -> None:
        """Write the round's numbers, at once."""
        for name, value in scalars(measured).items():
            self._writer.add_scalar(name, value, measured.round)
        self._writer.flush()

    @functools.cached_property
    def _writer(self) -> Any:
        folder = str(Path(self.folder) / self.run)
        writer = import_module("tensorboardX").SummaryWriter(folder)
        self._end_by(writer.close)
        return writer


@dataclass(frozen=True)
class WeightsAndBiases(_Tracker):
    """Logs to a run of Weights & Biases.

    Parameters
    ----------
    project : str
        Its project.
    mode : str
        ``offline`` keeps all on this machine, in ``folder``, until ``wandb sync`` uploads it;
        ``online`` uploads as it goes, and takes an account.
    folder : str
        Where files go.
    run : str
        Whose rounds they are.
    """

    project: str = "p2pl-flower"
    mode: str = "offline"
    folder: str = "."
    run: str = ""

    def __post_init__(self) -> None:
        if self.mode not in (modes := ("offline", "online")):
            raise ConfigError("mode", self.mode, "unknown name", modes)
        _check("wandb", "wandb")

    def on_round(self, measured: Round) -> None:
        """Log the round's numbers."""
        self._run.log(scalars(measured), step=measured.round)

    @functools.cached_property
    def _run(self) -> Any:
        run = import_module("wandb").init(
            project=self.project,
            name=self.run or None,
            mode=self.mode,
            dir=self.folder,
            reinit="create_new",
        )
        self._end_by(run.finish)
        return run


@dataclass(frozen=True)
class MLflow(_Tracker):
    """Logs to a run of MLflow.

    Parameters
    ----------
    store : str
        A folder, or a tracking server's address.
    experiment : str
        Its experiment, which is made if it is not there.
    run : str
        Whose rounds they are.
    """

    store: str
    experiment: str = "p2pl-flower"
    run: str = ""

    def __post_init__(self) -> None:
        _check("mlflow", "mlflow")

    def on_round(self, measured: Round) -> None:
        """Log the round's numbers."""
        client, run = self._client_and_run
        for name, value in scalars(measured).items():
            client.log_metric(run, name, value, step=measured.round)

    @functools.cached_property
    def _client_and_run(self) -> tuple[Any, str]:
        store = self.store
        if "://" not in store:
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # newer ones ask for consent
            store = Path(store).resolve().as_uri()
        client = import_module("mlflow").MlflowClient(tracking_uri=store)
        known = client.get_experiment_by_name(self.experiment)
        experiment = known.experiment_id if known else client.create_experiment(self.experiment)
        made = client.create_run(experiment, run_name=self.run or None)
        self._end_by(client.set_terminated, made.info.run_id)
        return client, made.info.run_id


def _check(library: str, extra: str) -> None:
    if find_spec(library) is None:
        rule = f"needs {library}: pip install 'p2pl-flower[{extra}]'"
        raise ConfigError("loggers", extra, rule)
