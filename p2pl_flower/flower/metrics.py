"""Turns devices' metrics into the rounds of a history."""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable, Iterable, Mapping

from flwr.app import MetricRecord, RecordDict

from ..errors import DeviceError
from ..history import Elapsed, Round, Scores, Spread, each_device
from . import records
from .messages import AFTER_TRAINING

log = logging.getLogger("flwr.p2pl")

OnRound = Callable[[Round], object]
Metrics = Iterable[MetricRecord] | Mapping[int, MetricRecord]
"""Of devices: by device, where each device's own accuracy is to be kept."""
MetricsAggregation = Callable[[list[RecordDict], str], MetricRecord]


class RoundMetrics:
    """Collects what a round measures, from its begin to its end.

    Accuracy and loss are found among a device's metrics by name, in upper or lower case:
    ``accuracy`` or ``acc`` itself, else with a word for test data, as in ``eval_acc``, else with
    other words; and likewise ``loss``. All others are kept by name, each over the devices that
    report it. Lists are no numbers.

    Parameters
    ----------
    on_round : Callable[[Round], None], optional
        Called at the end of every round.
    weighted_by_key : str
        The metric that counts samples, which is no score.
    """

    def __init__(
        self, on_round: OnRound | None = None, weighted_by_key: str = records.COUNT
    ) -> None:
        self.rounds: list[Round] = []
        self._on_round, self._count = on_round, weighted_by_key
        self._current = Round(0)
        self._started = 0.0
        self._server_bytes = 0

    def begin(self, round_number: int, server_bytes: int) -> None:
        """Begin a round; ``server_bytes`` is the server's counter at this moment."""
        self._current = Round(round_number)
        self._started, self._server_bytes = time.perf_counter(), server_bytes

    def after_training(self, metrics: Iterable[MetricRecord]) -> None:
        """Note the scores after training, if the devices sent any."""
        self._current.after_training = scores(metrics, AFTER_TRAINING, self._count)

    def after_consensus(self, metrics: Metrics) -> None:
        """Note the scores after consensus, if the devices sent any."""
        self._current.after_consensus = scores(metrics, "", self._count)

    def sent(self, by_round: Mapping[int, Mapping[int, int]]) -> None:
        """Note, for all rounds at once, the model bytes that each sender sent."""
        for measured in self.rounds:
            sizes = list(by_round.get(measured.round, {}).values())
            measured.bytes_sent, measured.bytes_sent_busiest = sum(sizes), max(sizes, default=0)

    def distance(self, consensus_distance: float) -> None:
        """Note the consensus distance."""
        self._current.consensus_distance = consensus_distance

    def took(self, clock: Elapsed | None) -> None:
        """Note what the round took by the simulated clock."""
        self._current.clock = clock

    def spent(self, epsilon: float | None) -> None:
        """Note what the device that let out most has spent of its privacy so far."""
        self._current.epsilon = epsilon

    def end(self, server_bytes: int) -> Round:
        """End the round and hand it to ``on_round``."""
        self._current.seconds = time.perf_counter() - self._started
        self._current.bytes_through_server = server_bytes - self._server_bytes
        self.rounds.append(self._current)
        if self._on_round is not None:
            self._on_round(self._current)
        return self._current


def scores(metrics: Metrics, prefix: str = "", count: str = records.COUNT) -> Scores | None:
    """Return accuracy, loss and the rest over devices, from metrics whose keys have a prefix.

    That with no name beyond the prefix but ``count`` is the number of samples. None is for no
    metric at all.
    """
    by_device = dict(metrics) if isinstance(metrics, Mapping) else {}
    listed = by_device.values() if isinstance(metrics, Mapping) else metrics
    named = [_numbers(record, prefix) for record in listed]
    found = {
        name: [numbers[name] for numbers in named if name in numbers]
        for name in dict.fromkeys(name for numbers in named for name in numbers)
        if name != count
    }
    accuracy, loss = _meant(found, _ACCURACY), _meant(found, _LOSS)
    spreads = {name: spread for name, each in found.items() if (spread := Spread.over(each))}
    rest = {name: spread for name, spread in spreads.items() if name not in (accuracy, loss)}
    if not spreads:
        return None
    told = zip(by_device, named, strict=False)
    own = each_device({device: n[accuracy] for device, n in told if accuracy in n})
    return Scores(spreads.get(accuracy), spreads.get(loss), rest, own)


def mean_of_metrics(function: MetricsAggregation) -> MetricsAggregation:
    """Return Flower's weighted mean of metrics, made to serve where devices' metrics differ.

    Each metric's mean is over the devices that report it; that of lists of different lengths is
    left out. Where all weights are 0 it is the plain mean. Flower itself takes what is missing for
    0, and fails at the others.
    """

    def aggregate(contents: list[RecordDict], weighted_by_key: str) -> MetricRecord:
        records = [next(iter(content.metric_records.values())) for content in contents]
        names = dict.fromkeys(name for record in records for name in record)
        found = MetricRecord()
        for name in names:
            having = [record for record in records if name in record]
            if name == weighted_by_key:
                continue
            if len({_length(record[name]) for record in having}) > 1:
                log.warning("metric %r has no mean: devices report lists of other lengths", name)
                continue
            weighed = any(as_number(record[weighted_by_key]) for record in having)
            alike = [
                RecordDict(
                    {
                        "m": MetricRecord(
                            {
                                weighted_by_key: r[weighted_by_key] if weighed else 1,
                                name: r[name],
                            }
                        )
                    }
                )
                for r in having
            ]
            found.update(function(alike, weighted_by_key))
        return found

    return aggregate


def _length(value: object) -> int:
    """Return the length of a list; -1 of a number."""
    return len(value) if isinstance(value, list) else -1


def sample_count(device: int, key: str, value: object) -> float:
    """Return a number of samples, which may be a fraction.

    Raises
    ------
    DeviceError
        It is none: negative, a NaN or an infinity, or a list.
    """
    if not isinstance(value, int | float) or not 0 <= value < math.inf:
        rule = f"device {device} must report {key!r} as a number of at least 0, not {value!r}"
        raise DeviceError(rule)
    return value


def with_scores(
    metrics: MetricRecord | None,
    contents: list[RecordDict],
    average: MetricsAggregation,
    weighted_by_key: str,
) -> MetricRecord | None:
    """Return aggregated train metrics with the mean scores after training beside them."""
    scored = [
        {k: v for k, v in r.items() if k.startswith(AFTER_TRAINING) or k == weighted_by_key}
        for content in contents
        for r in content.metric_records.values()
    ]
    alike = [RecordDict({"m": MetricRecord(s)}) for s in scored if len(s) > 1]
    if not alike:
        return metrics
    return MetricRecord({**(metrics or {}), **average(alike, weighted_by_key)})


def as_number(value: object) -> float:
    """Return a metric as a number; 0 where it is none, or a list."""
    return float(value) if isinstance(value, int | float) else 0.0


def _numbers(record: MetricRecord, prefix: str) -> dict[str, float]:
    """Return a device's metrics with a prefix, without it: lists are no numbers."""
    return {
        key.removeprefix(prefix): float(value)
        for key, value in record.items()
        if key.startswith(prefix) and isinstance(value, int | float)
    }


_ACCURACY = re.compile(r"acc(uracy)?|\w*accuracy|(test|val|eval)acc")
_LOSS = re.compile(r"\w*loss")
_TESTED = frozenset({"eval", "test", "val", "valid", "validation", "evaluation", "mean", "avg"})
_TRAINED = frozenset({"train", "training"})


def _meant(names: Iterable[str], wanted: re.Pattern[str]) -> str:
    """Return the name of the metric that is meant, the same on all devices; empty for none."""
    first = min(names, key=lambda name: _rank(name, wanted), default="")
    return first if _rank(first, wanted)[0] <= _FARTHEST else ""


_FARTHEST = 3


def _rank(name: str, wanted: re.Pattern[str]) -> tuple[int, int, str]:
    """Return how far a name is from that of the metric: the smallest is the one that is meant.

    The name itself comes first, then with a word for test data, with any other word, and with one
    for training.
    """
    words = [w.lower() for w in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
    rest = [w for w in words if not wanted.fullmatch(w)]
    if len(rest) == len(words):
        return _FARTHEST + 1, 0, name
    kind = 0 if not rest else 1 if set(rest) <= _TESTED else 3 if _TRAINED & set(rest) else 2
    return kind, len(name), name
