"""One run of the strategy, from its devices' first message to the end of its last round.

It holds what belongs to the run, and sees to it that every round is brought to its end in order,
also where a subclass of the strategy answers Flower's calls in a way of its own.
"""

from __future__ import annotations

import logging
import time
import weakref
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid

from .. import named_arrays
from ..errors import ConfigError, DeviceError
from ..history import Round, accuracies
from ..options import ScoredRounds, Spending, Timing, number_count
from ..seeding import Stream, generator
from . import failures, messages, records
from ._compat import is_simulated
from .clocked import RunClock
from .coordinator import Coordinator
from .final_arrays import final_arrays
from .grids import PacedGrid, count_bytes
from .hearing import may_keep_replies, unheard
from .mean_model import MeanModel
from .membership import Membership, all_evaluate, refuse_mods, warn_of_versions
from .metrics import RoundMetrics, sample_count
from .run_plan import Plan, Settings

log = logging.getLogger("flwr.p2pl")

_TRAINING, _TRAINED, _MIXED, _OVER = "training", "trained", "mixed", "over"
_LARGE_BYTES = 1 << 16
"""Size of a reply from which on it may be a model in disguise: its arrays are not among it."""


class OpenRun:
    """A run that is under way.

    Parameters
    ----------
    strategy : Settings
        The P2PL whose run it is.
    grid : Grid
        The way to the nodes.
    initial_arrays : ArrayRecord
        The common start, for devices that draw none of their own.
    plan : Plan
        What is known of the run.

    Attributes
    ----------
    grid : Grid
        The way to the nodes at their best pace.
    rounds : list[Round]
        What the rounds measured.
    setup : dict[str, int | float]
        What synchronization took.
    mean : MeanModel
        The mean of the devices' models.
    train_metrics, evaluate_metrics : dict[int, MetricRecord]
        The last that each device reported.
    """

    def __init__(
        self, strategy: Settings, grid: Grid, initial_arrays: ArrayRecord, plan: Plan
    ) -> None:
        self.id = int(grid.run.run_id)
        self.grid = PacedGrid(grid) if is_simulated(grid) else grid
        self.round, self._stage, self._moments = 0, _OVER, 0
        self._strategy = strategy
        self._metrics = RoundMetrics(strategy.on_round, strategy.weighted_by_key)
        self._spending = Spending(strategy.options.privacy)
        self.rounds: list[Round] = self._metrics.rounds
        kinds = strategy.evaluate_trained, strategy.fraction_evaluate
        self._scored = ScoredRounds(strategy.evaluate_every, plan.num_rounds, *kinds)
        self.train_metrics: dict[int, MetricRecord] = {}
        self.evaluate_metrics: dict[int, MetricRecord] = {}
        self._called: list[int] = []
        self._offered: list[Message] = []
        self._unheard = False
        self._told_of: set[str] = set()
        strategy.relay.open(self.id)
        self._relay_closer = weakref.finalize(self, strategy.relay.close, self.id)
        try:
            self._set_up(initial_arrays, plan.timeout)
        except BaseException:
            self._relay_closer()
            raise

    def _set_up(self, initial_arrays: ArrayRecord, timeout: float) -> None:
        """Gather the devices, give each its neighbors and its start, and synchronize."""
        started = time.perf_counter()
        strategy = self._strategy
        self._membership = Membership(self.grid, timeout)
        said = self._membership.gather(
            strategy.num_devices, strategy.min_available_nodes, strategy.connect_timeout
        )
        warn_of_versions(said)
        refuse_mods(said)
        if self._scored.every and not all_evaluate(said):
            self._scored = replace(self._scored, every=0)
        self._coordinator = Coordinator(
            self._membership,
            strategy.topology,
            strategy.options,
            strategy.relay,
            self.id,
            strategy.arrayrecord_key,
            {d: str(reply.get(messages.ADDRESS, "")) for d, reply in said.items()},
            strategy.on_failure,
        )
        draws = {d: bool(reply[messages.DRAWS]) for d, reply in said.items()}
        offers = all(bool(reply.get(messages.OFFERS, False)) for reply in said.values())
        taken = self._coordinator.open(initial_arrays, draws, offers)
        numbers = number_count(messages.to_model(initial_arrays))
        timing = Timing.of(strategy.clock, len(self._membership.devices), numbers)
        self._clock = RunClock(timing, self._coordinator.schedule, strategy.options)
        self.setup: dict[str, int | float] = {
            **taken,
            **self._clock.synchronized(taken),
            "bytes_through_server": self._membership.server_bytes,
            "seconds": time.perf_counter() - started,
            **self._spending.each,
        }
        self._initial = messages.to_model(initial_arrays)
        shared = strategy.options.shared
        self.mean = MeanModel(
            self._initial,
            shared,
            self._coordinator.models_in_round,
            lambda: (self.round, self._moments),
        )

    @property
    def is_open(self) -> bool:
        """Whether the devices' models can still be had."""
        return self._relay_closer.alive

    def begin_round(self, server_round: int, config: ConfigRecord) -> list[Message]:
        """Return the messages that tell every device that is there to train."""
        self.finish_round()
        self._enter(_TRAINING)
        self.round = server_round
        self._metrics.begin(server_round, self._membership.server_bytes)
        self._called = self._coordinator.begin_round(server_round)
        self._spending.trained(self._called)
        return self._instruct(messages.TRAIN, config)

    def sends_only(self, kind: str, sent: Collection[Message]) -> None:
        """Go on without the devices to which a subclass has decided to send nothing."""
        stages = {messages.TRAIN: _TRAINING, messages.EVALUATE: _MIXED}
        if self._stage != stages[kind]:
            return
        nodes = {message.metadata.dst_node_id for message in sent}
        back = [m for m in self._offered if m.metadata.dst_node_id not in nodes]
        left = self._membership.take_back(back)
        self._offered = [m for m in self._offered if m not in back]
        self._called = [device for device in self._called if device not in left]
        self._coordinator.not_sent(kind, left)

    def hear_training(self, replies: Iterable[Message]) -> list[RecordDict]:
        """Return what train functions returned, in order of devices."""
        arrived = self._coordinator.hear(messages.TRAIN, self._called, replies)
        self._hear_unscored(arrived)
        self.train_metrics = {d: self._metrics_of(d, c) for d, c in arrived.items()}
        key = self._strategy.weighted_by_key
        samples = {d: sample_count(d, key, m[key]) for d, m in self.train_metrics.items()}
        self._coordinator.know_samples(samples)
        self._clock.trained(self.round, samples)
        self._coordinator.late = self._clock.late(self.round)
        self._metrics.after_training(self.train_metrics.values())
        self._enter(_TRAINED)
        return list(arrived.values())

    def mix(self) -> None:
        """Drive the round's consensus steps."""
        if self._stage == _TRAINING:
            self._go_on_untrained()
        for step in range(1, self._strategy.options.consensus_steps + 1):
            self._coordinator.consensus_step(self.round, step)
        self._called = []
        self._enter(_MIXED)

    def ask_to_evaluate(self, config: ConfigRecord) -> list[Message]:
        """Return the messages that ask for evaluation, where it is due."""
        if not self._scored.due(self.round):
            return []  # the last consensus step is made when devices are called to train
        self._called, self._unheard = self._drawn(self._coordinator.present(self.round)), True
        return self._instruct(messages.EVALUATE, config)

    def hear_evaluation(self, replies: Iterable[Message]) -> list[RecordDict]:
        """Return what evaluate functions returned, in order of devices."""
        self._unheard = False
        if not self._called:
            return []
        arrived = self._coordinator.hear(messages.EVALUATE, self._called, replies)
        scored = {d: c for d, c in arrived.items() if not records.has_no_scores(c)}
        if len(scored) < len(arrived):
            self.warn_once("clients without an `evaluate` function are not scored")
        self.evaluate_metrics = {d: self._metrics_of(d, c) for d, c in scored.items()}
        self._metrics.after_consensus(self.evaluate_metrics)
        return list(scored.values())

    def finish_round(self) -> None:
        """Bring the round to its end, whatever of it was left to others."""
        if self._stage == _OVER:
            return
        if self._stage != _MIXED:
            self.mix()
        self._coordinator.go_on_unheard()
        if self._unheard:
            self._unheard = False
            self.warn_once(unheard(self._strategy, messages.EVALUATE, "scores after consensus"))
        self._enter(_OVER)
        if self._scored.due(self.round) and self._strategy.relay.observable:
            models = map(
                self._strategy.options.shared.part, self._coordinator.models_in_round().values()
            )
            self._metrics.distance(named_arrays.consensus_distance(models))
        self._count_bytes()
        self._metrics.spent(self._spending.epsilon)
        self._report(self._metrics.end(self._membership.server_bytes))

    def finish(self) -> ArrayRecord:
        """Make the last consensus step, and return the arrays that are the run's result."""
        self.finish_round()
        self._coordinator.make_due()
        self._count_bytes()
        strategy = self._strategy
        return final_arrays(
            strategy.result,
            strategy.relay.observable,
            self.mean,
            self._coordinator,
            strategy.options.shared,
            self._initial,
        )

    def close(self) -> None:
        """Close the relay: the models are gone."""
        self._relay_closer()

    def _count_bytes(self) -> None:
        """Note what was sent in the rounds before, and what that took by the clock."""
        self._metrics.sent(self._coordinator.sent)
        self._clock.tell(self.rounds, self._coordinator.sent)

    def _enter(self, stage: str) -> None:
        self._stage = stage
        self._moments += 1

    def _go_on_untrained(self) -> None:
        """Go on with devices that were told to train, where somebody else heard them."""
        self._coordinator.go_on_unheard()
        name = type(self._strategy).__name__
        if self._strategy.options.needs_samples:
            rule = (
                "its aggregate_train must call super().aggregate_train(server_round, replies): the "
                "weights need the numbers of samples in the replies"
            )
            raise ConfigError("strategy", name, rule)
        what = "scores after training, and which devices did not answer,"
        self.warn_once(unheard(self._strategy, messages.TRAIN, what))

    def _hear_unscored(self, trained: Mapping[int, RecordDict]) -> None:
        """Say which devices have trained and could not score it, or end the run for it."""
        failed = {d: reason for d, c in trained.items() if (reason := records.unscored_why(c))}
        for device, reason in failed.items():
            error = failures.failure(device, messages.AFTER_TRAINING + "evaluate", reason)
            if self._strategy.on_failure == failures.RAISE or len(failed) == len(trained):
                raise error
            log.warning("%s; what it has trained counts, without scores", error)

    def _instruct(self, kind: str, config: ConfigRecord) -> list[Message]:
        strategy = self._strategy
        if may_keep_replies(strategy, kind):
            self._coordinator.make_due()  # by messages of its own, whose replies are ours
        config[messages.SERVER_ROUND] = self.round
        given = RecordDict({strategy.configrecord_key: config})
        due = kind == messages.TRAIN and self._scored.due_after_training(self.round)
        scored = self._drawn(self._called) if due else ()
        if due and strategy.evaluate_config:
            scoring = {**strategy.evaluate_config, messages.SERVER_ROUND: self.round}
            given[messages.SCORE_CONFIG] = ConfigRecord(scoring)
        self._offered = self._coordinator.instruct(kind, self._called, self.round, given, scored)
        return self._offered

    def _drawn(self, devices: list[int]) -> list[int]:
        draw = generator(self._strategy.options.seed, Stream.EVALUATE, self.round)
        return [int(device) for device in self._scored.drawn(devices, draw)]

    def _metrics_of(self, device: int, content: RecordDict) -> MetricRecord:
        key, found = self._strategy.weighted_by_key, list(content.metric_records.values())
        if len(found) != 1 or key not in found[0]:
            raise DeviceError(
                f"device {device} must reply with one metric record that holds "
                f"{key!r}; it sent {[list(r) for r in found]}"
            )
        sample_count(device, key, found[0][key])
        if held_back := records.held_back_in(content):
            self.warn_once(
                "evaluate functions return arrays, which P2PL has no use for: they stay on the "
                f"devices ({held_back:,} bytes of device {device} in one round)"
            )
        if (size := count_bytes(content)) > _LARGE_BYTES:
            self.warn_once(
                "replies hold large records, which go through the server to what aggregates "
                f"({size:,} bytes of device {device} in one round)"
            )
        return found[0]

    def warn_once(self, text: str) -> None:
        """Warn, unless that was said before with other words in brackets."""
        subject = text.partition("(")[0]
        if subject not in self._told_of:
            self._told_of.add(subject)
            log.warning("%s", text)

    def _report(self, measured: Round) -> None:
        """Log one line about a round."""
        between = sum(sum(by_sender.values()) for by_sender in self._coordinator.sent.values())
        found = accuracies(measured)
        log.info(
            "\t└──> P2PL: %sso far %s bytes between devices; %s through the server",
            found and f"{found}; ",
            f"{between:,}",
            f"{self._membership.server_bytes:,}",
        )
