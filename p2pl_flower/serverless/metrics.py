"""What a peer's page of metrics says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..history import Scores
from ..system.metrics_page import neighbor_families
from .reports import Report


@dataclass
class PeerMetrics:
    """A peer's progress, its last scores and its neighbors, as metric families.

    Parameters
    ----------
    describe : Callable
        Returns what the peer says of itself, as for ``p2pl-flower status``.
    counts : Callable
        Returns what became of models, by neighbor and by kind.
    """

    describe: Callable[[], Mapping[str, Any]]
    counts: Callable[[], Mapping[int, Mapping[str, int]]]
    _seconds: float = 0.0
    _scores: dict[str, Scores] = field(default_factory=dict)
    _received: dict[int, int] = field(default_factory=dict)

    def add(self, report: Report) -> None:
        """Take what a round measured; scores stay until there are newer ones."""
        measured = report.measured
        self._seconds = measured.seconds or 0.0
        scored = {"training": measured.after_training, "consensus": measured.after_consensus}
        self._scores |= {when: scores for when, scores in scored.items() if scores is not None}
        for sender, size in report.received.items():
            self._received[sender] = self._received.get(sender, 0) + size

    def collect(self) -> list[Any]:
        """Return all metrics as they are now."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        told = self.describe()
        text = "Bytes of models and of what else neighbors told."
        received = CounterMetricFamily("p2pl_received_bytes", text, labels=["neighbor"])
        for sender, size in sorted(self._received.copy().items()):
            received.add_metric([str(sender)], float(size))
        return [
            GaugeMetricFamily("p2pl_rounds_done", "Rounds that are over.", told["done"]),
            GaugeMetricFamily("p2pl_rounds", "Rounds that the run has.", told["rounds"]),
            received,
            *self._of_last_round(),
            *neighbor_families(told["neighbors"], self.counts()),
        ]

    def _of_last_round(self) -> list[Any]:
        from prometheus_client.core import GaugeMetricFamily

        families = [
            GaugeMetricFamily("p2pl_round_seconds", "Wall time of the last round.", self._seconds)
        ]
        for kind in ("accuracy", "loss"):
            text = f"The own model's {kind} when it was last scored."
            family = GaugeMetricFamily(f"p2pl_{kind}", text, labels=["after"])
            for when, scores in self._scores.copy().items():
                if (spread := getattr(scores, kind)) is not None:
                    family.add_metric([when], spread.mean)
            families.append(family)
        return families
