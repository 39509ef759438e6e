"""Turns devices' metrics into the rounds of a history."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping

from flwr.app import MetricRecord

from ..history import Round, Scores, Spread
from .messages import AFTER_TRAINING

log = logging.getLogger("flwr.p2pl")

OnRound = Callable[[Round], object]


class RoundMetrics:
    """Collects what a round measures, from its begin to its end.

    Accuracy and loss are found among a device's metrics by name: the first that contains
    ``acc``, and the first that contains ``loss``.

    Parameters
    ----------
    on_round : Callable[[Round], None], optional
        Called at the end of every round.
    """

    def __init__(self, on_round: OnRound | None = None) -> None:
        self.rounds: list[Round] = []
        self._on_round = on_round
        self._current = Round(0)
        self._started = 0.0
        self._server_bytes = 0

    def begin(self, round_number: int, server_bytes: int) -> None:
        """Begin a round; ``server_bytes`` is the server's counter at this moment."""
        self._current = Round(round_number)
        self._started, self._server_bytes = time.perf_counter(), server_bytes

    def after_training(self, metrics: Iterable[MetricRecord]) -> None:
        """Note the scores after training, if the devices sent any."""
        self._current.after_training = scores(metrics, AFTER_TRAINING)

    def after_consensus(self, metrics: Iterable[MetricRecord]) -> None:
        """Note the scores after consensus, if the devices sent any."""
        self._current.after_consensus = scores(metrics)

    def sent(self, by_round: Mapping[int, Mapping[int, int]]) -> None:
        """Note, for all rounds at once, the model bytes that each sender sent."""
        for measured in self.rounds:
            sizes = list(by_round.get(measured.round, {}).values())
            measured.bytes_sent, measured.bytes_sent_busiest = sum(sizes), max(sizes, default=0)

    def distance(self, consensus_distance: float) -> None:
        """Note the consensus distance."""
        self._current.consensus_distance = consensus_distance

    def end(self, server_bytes: int) -> Round:
        """End the round and hand it to ``on_round``."""
        self._current.seconds = time.perf_counter() - self._started
        self._current.bytes_through_server = server_bytes - self._server_bytes
        self.rounds.append(self._current)
        if self._on_round is not None:
            self._on_round(self._current)
        return self._current


def scores(metrics: Iterable[MetricRecord], prefix: str = "") -> Scores | None:
    """Return accuracy and loss over devices from metrics whose keys start with ``prefix``."""
    listed = list(metrics)
    accuracy = Spread.over(_found(listed, prefix, "acc"))
    loss = Spread.over(_found(listed, prefix, "loss"))
    return None if accuracy is None and loss is None else Scores(accuracy, loss)


def line(measured: Round) -> str:
    """Return a round's accuracies for a log; the empty text if there are none."""
    parts = [
        f"accuracy {label} {scored.accuracy.mean:.4f} "
        f"[{scored.accuracy.min:.4f}, {scored.accuracy.max:.4f}]; "
        for label, scored in (
            ("after training", measured.after_training),
            ("after consensus", measured.after_consensus),
        )
        if scored is not None and scored.accuracy is not None
    ]
    return "".join(parts)


def _found(metrics: list[MetricRecord], prefix: str, part: str) -> list[float]:
    values = []
    for record in metrics:
        names = [key for key in record if key.startswith(prefix) and part in key[len(prefix) :]]
        value = record[names[0]] if names else None
        if isinstance(value, int | float):
            values.append(float(value))
    return values
