"""P2PL: a Flower Strategy that averages nothing itself.

It is a clock and a metrics: it tells devices who their neighbors are and when to train,
to mix and to evaluate, and gets metrics back. Models go from device to device through the
relay; in the rounds none goes through the server, and the bytes that do are counted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import networkx as nx
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg, Result, Strategy

from .. import consensus
from ..algorithms import Algorithm
from ..errors import ConfigError, DeviceError
from ..history import Round
from ..options import (
    CONNECT_TIMEOUT,
    EVALUATE_EVERY,
    EVALUATE_TRAINED,
    MIN_AVAILABLE_NODES,
    NUM_DEVICES,
    Logger,
    Options,
    RoundFunction,
    ScoredRounds,
    told,
)
from ..relay import FileRelay, OpenRelay, Relay
from ..sharing import Sharing
from ..topology import Schedule
from . import messages
from ._compat import is_simulated
from .coordinator import Coordinator
from .grids import MeteredGrid, PacedGrid
from .joining import all_evaluate, refuse_mods, warn_of_versions
from .mean_model import EvaluateFunction, MeanModel
from .membership import Membership
from .metrics import RoundMetrics, line
from .unsupported import WRAPPER

log = logging.getLogger("flwr.p2pl")

MetricsAggregation = Callable[[list[RecordDict], str], MetricRecord]

_IN_SERVER_FN = (
    "a server_fn cannot return it: leave the strategy of flwr.server.strategy there, and replace "
    "`ServerApp(server_fn=server_fn)` by `PeerServerApp(server_fn, topology)` "
    "(from p2pl_flower import PeerServerApp)"
)


class P2PL(Strategy):
    r"""Peer-to-peer deep learning over a graph of devices.

    Each round every device trains on its own data from its own model, then makes S
    consensus steps :math:`w_k \leftarrow w_k + \gamma \sum_j a_{kj} (w_j - w_k)` with its
    neighbors. The ClientApp must be a `PeerApp`.

    Parameters
    ----------
    topology : str, networkx.Graph, Schedule or callable
        Who is whose neighbor: a name such as ``"ring"`` or ``"erdos-renyi:p=0.1"`` (see
        `p2pl_flower.topology.TOPOLOGIES`), a graph on 0..K-1, a schedule of graphs, or a
        function ``(n, seed) -> Graph``. The default suits any number of devices: each has
        about 2 log2 K neighbors.
    algorithm : str or Algorithm
        What devices train from, send, and make of what arrives: ``"p2pl"``,
        ``"p2pl-affinity:strength=0.5"``, ``"exact-diffusion"``, ``"dsgd"``, or one of your own
        (see `p2pl_flower.algorithms`).
    weights : str, WeightRule or array of shape (K, K)
        Mixing weights: ``"metropolis"``, ``"uniform"``, ``"data-size"``, or a matrix whose
        rows sum to 1.
    shared : str or sequence of str
        Globs on array names, such as ``"features.*"`` or ``"!head.*"``: which arrays are
        mixed, synchronized and shown to neighbors. The others stay at home, as in FedPer.
    consensus_steps, consensus_gamma, init, max_norm_scope, links, on_missing, seed
        See `p2pl_flower.Options`.
    evaluate_every : int
        Devices evaluate, after training and after consensus, in every n-th round and in
        the last; 0 means never.
    evaluate_trained : bool
        Whether they evaluate after training too, which doubles the cost.
    num_devices : int, optional
        K; all connected nodes unless given.
    min_available_nodes : int
        Nodes to wait for where ``num_devices`` is not given.
    connect_timeout : float
        Seconds to wait for nodes to connect.
    relay : Relay, optional
        How models get from device to device; `FileRelay` unless given.
    weighted_by_key, arrayrecord_key, configrecord_key, train_metrics_aggr_fn, \
evaluate_metrics_aggr_fn
        As in `flwr.serverapp.strategy.FedAvg`.
    on_round : callable or Logger, optional
        Called at the end of every round with what it measured, a `p2pl_flower.history.Round`: a
        function, or an object with a method ``on_round``.

    Attributes
    ----------
    rounds : list[Round]
        What the rounds measured.
    setup : dict[str, int | float]
        What synchronization took: ``synchronization_steps``, ``bytes_sent``,
        ``bytes_through_server``.
    evaluate_config : ConfigRecord
        What evaluate functions get as config after training.

    References
    ----------
    .. [1] Pranav and Moura, arXiv 2310.18861.
    .. [2] Pranav and Moura, arXiv 2312.13602 (affinity).
    """

    def __init__(
        self,
        topology: str | nx.Graph | Schedule | Callable[..., nx.Graph] = "exponential",
        *,
        algorithm: str | Algorithm = "p2pl",
        weights: Any = "metropolis",
        shared: str | Iterable[str] | Sharing = "*",
        consensus_steps: int = 1,
        consensus_gamma: float = 1.0,
        init: str = "auto",
        max_norm_scope: str = "model",
        links: Any = "perfect",
        on_missing: str = "self",
        seed: int = 0,
        evaluate_every: int = 1,
        evaluate_trained: bool = True,
        num_devices: int | None = None,
        min_available_nodes: int = 2,
        connect_timeout: float = 60.0,
        relay: Relay | None = None,
        weighted_by_key: str = "num-examples",
        arrayrecord_key: str = "arrays",
        configrecord_key: str = "config",
        train_metrics_aggr_fn: MetricsAggregation | None = None,
        evaluate_metrics_aggr_fn: MetricsAggregation | None = None,
        on_round: str | Logger | RoundFunction | None = None,
    ) -> None:
        self.options = Options(
            algorithm=algorithm,
            weights=weights,
            consensus_steps=consensus_steps,
            consensus_gamma=consensus_gamma,
            init=init,
            max_norm_scope=max_norm_scope,
            links=links,
            on_missing=on_missing,
            shared=shared,
            seed=seed,
        )
        self.options.to_config()  # what cannot travel to devices is refused here
        self.topology = topology
        self.evaluate_every = EVALUATE_EVERY.take(evaluate_every)
        self.evaluate_trained = EVALUATE_TRAINED.take(evaluate_trained)
        self.num_devices = NUM_DEVICES.take(num_devices)
        self.min_available_nodes = MIN_AVAILABLE_NODES.take(min_available_nodes)
        self.connect_timeout = CONNECT_TIMEOUT.take(connect_timeout)
        self.relay = FileRelay() if relay is None else relay
        self.weighted_by_key = weighted_by_key
        self.arrayrecord_key, self.configrecord_key = arrayrecord_key, configrecord_key
        defaults = FedAvg()  # whose averages of metrics are what users expect
        self.train_metrics_aggr_fn = train_metrics_aggr_fn or defaults.train_metrics_aggr_fn
        self.evaluate_metrics_aggr_fn = (
            evaluate_metrics_aggr_fn or defaults.evaluate_metrics_aggr_fn
        )
        self.setup: dict[str, int | float] = {}
        self._on_round = told(on_round)

    @property
    def rounds(self) -> list[Round]:
        """What the rounds measured."""
        return self._keeper.rounds

    def start(
        self,
        grid: Grid,
        initial_arrays: ArrayRecord,
        num_rounds: int = 3,
        timeout: float = 3600,
        train_config: ConfigRecord | None = None,
        evaluate_config: ConfigRecord | None = None,
        evaluate_fn: EvaluateFunction | None = None,
    ) -> Result:
        """Run the rounds; the arguments are those of ``FedAvg.start``.

        There is no global model. Where one is asked for, by ``evaluate_fn`` and by the
        result's ``arrays``, it is the mean of all devices' models, read from the relay: for
        the result once, at the end, and for ``evaluate_fn`` in every round. Arrays that stay
        at home are in it as they are in ``initial_arrays``.

        Raises
        ------
        ConfigError
            An option does not suit the number of devices or the names of the arrays, or a
            mod of the `PeerApp` needs a server that aggregates.
        LayoutError
            The model cannot be averaged, or devices draw different ones.
        DeviceError
            A device's own code failed, or no device answered.
        RelayError
            The relay could not be opened.
        """
        if evaluate_fn is not None and not self.relay.observable:
            rule = "there are no models on the server to evaluate; leave it out with this relay"
            raise ConfigError("evaluate_fn", evaluate_fn, rule)
        self._grid = MeteredGrid(PacedGrid(grid) if is_simulated(grid) else grid)
        self._keeper = RoundMetrics(self._on_round)
        self._scored = ScoredRounds(self.evaluate_every, num_rounds, self.evaluate_trained)
        self.evaluate_config = ConfigRecord(dict(evaluate_config or {}))
        run = int(grid.run.run_id)
        with OpenRelay(self.relay, run):
            self._set_up(run, initial_arrays, timeout)
            initial = messages.to_model(initial_arrays)
            mean = MeanModel(initial, self.options.shared, self._coordinator.models)
            result = super().start(
                self._grid,
                initial_arrays,
                num_rounds,
                timeout,
                ConfigRecord({**(train_config or {}), **self._scored.to_config()}),
                evaluate_config,
                evaluate_fn and mean.given_to(evaluate_fn),
            )
            self._coordinator.make_due()
            if self.relay.observable:
                result.arrays = mean.arrays()
                log.info("The result's arrays are the mean of all models, read from the relay")
            else:
                result.arrays = ArrayRecord()
                log.info("The result has no arrays: the models are on the devices, and stay there")
        self._keeper.sent(self._coordinator.sent)
        return result

    def initialize_parameters(self, client_manager: object) -> None:
        """Refuse to be what a ``server_fn`` returns: Flower asks such a strategy for this first.

        Raises
        ------
        ConfigError
            Always.
        """
        raise ConfigError("strategy", "P2PL", _IN_SERVER_FN)

    def summary(self) -> None:
        """Log the strategy's configuration."""
        options, said = self.options, self.options.to_config()
        log.info("\t├──> Topology: %s", self.topology)
        log.info("\t├──> Weights: %s | links: %s", said["weights"], said["links"])
        log.info(
            "\t├──> Algorithm: %s, %d consensus step(s), gamma %g",
            said["algorithm"],
            options.consensus_steps,
            options.consensus_gamma,
        )
        log.info("\t└──> Init: %s (scope %s)", options.init, options.max_norm_scope)

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Tell every device that is there to train on its own model."""
        if grid is not getattr(self, "_grid", None):
            raise ConfigError("strategy", "wrapped", f"P2PL cannot be inside another: {WRAPPER}")
        self._keeper.begin(server_round, self._grid.total_bytes)
        self._called = self._coordinator.begin_round(server_round)
        return self._instruct(messages.TRAIN, server_round, config)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Aggregate the devices' metrics; there are no arrays to aggregate."""
        arrived = self._coordinator.hear(messages.TRAIN, self._called, replies)
        metrics = {d: self._metrics(d, content) for d, content in arrived.items()}
        samples = {d: int(_number(m[self.weighted_by_key])) for d, m in metrics.items()}
        self._coordinator.know_samples(samples)
        self._keeper.after_training(metrics.values())
        return None, self._aggregate(self.train_metrics_aggr_fn, arrived)

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Drive the round's consensus steps, then ask for evaluation where it is due."""
        for step in range(1, self.options.consensus_steps + 1):
            self._coordinator.consensus_step(server_round, step)
        self._called = []
        if not self._scored.due(server_round):
            return []  # the last consensus step is made when devices are called to train
        self._called = self._coordinator.present(server_round)
        return self._instruct(messages.EVALUATE, server_round, config)

    def aggregate_evaluate(
        self, server_round: int, replies: Iterable[Message]
    ) -> MetricRecord | None:
        """Aggregate the devices' evaluation metrics and end the round."""
        metrics = None
        if self._called:
            arrived = self._coordinator.hear(messages.EVALUATE, self._called, replies)
            self._keeper.after_consensus(self._metrics(d, c) for d, c in arrived.items())
            if self.relay.observable:
                models = map(self.options.shared.part, self._coordinator.models().values())
                self._keeper.distance(consensus.consensus_distance(models))
            metrics = self._aggregate(self.evaluate_metrics_aggr_fn, arrived)
        self._report(self._keeper.end(self._grid.total_bytes))
        return metrics

    def _set_up(self, run: int, initial_arrays: ArrayRecord, timeout: float) -> None:
        """Gather the devices, give each its neighbors and its start, and synchronize."""
        started = time.perf_counter()
        membership = Membership(self._grid, timeout)
        said = membership.gather(self.num_devices, self.min_available_nodes, self.connect_timeout)
        warn_of_versions(said)
        refuse_mods(said)
        if self.evaluate_every and not all_evaluate(said):
            self._scored = replace(self._scored, every=0)
        draws = {d: bool(reply["draws"]) for d, reply in said.items()}
        addresses = {d: str(reply.get("address", "")) for d, reply in said.items()}
        self._coordinator = Coordinator(
            membership,
            self.topology,
            self.options,
            self.relay,
            run,
            self.arrayrecord_key,
            addresses,
        )
        self.setup = {
            **self._coordinator.open(initial_arrays, draws),
            "bytes_through_server": self._grid.total_bytes,
            "seconds": time.perf_counter() - started,
        }

    def _instruct(self, kind: str, server_round: int, config: ConfigRecord) -> Iterable[Message]:
        config["server-round"] = server_round
        records = RecordDict({self.configrecord_key: config})
        scored = kind == messages.TRAIN and self._scored.due_after_training(server_round)
        if scored and self.evaluate_config:
            scoring = {**self.evaluate_config, "server-round": server_round}
            records[messages.SCORE_CONFIG] = ConfigRecord(scoring)
        return self._coordinator.instruct(kind, self._called, server_round, records)

    def _metrics(self, device: int, content: RecordDict) -> MetricRecord:
        records = list(content.metric_records.values())
        if len(records) != 1 or self.weighted_by_key not in records[0]:
            raise DeviceError(
                f"device {device} must reply with one metric record that holds "
                f"{self.weighted_by_key!r}; it sent {[list(r) for r in records]}"
            )
        return records[0]

    def _aggregate(
        self, function: MetricsAggregation, arrived: Mapping[int, RecordDict]
    ) -> MetricRecord | None:
        return function(list(arrived.values()), self.weighted_by_key) if arrived else None

    def _report(self, measured: Round) -> None:
        """Log one line about a round."""
        between = sum(sum(by_sender.values()) for by_sender in self._coordinator.sent.values())
        log.info(
            "\t└──> P2PL: %sso far %s bytes between devices; %s through the server",
            line(measured),
            f"{between:,}",
            f"{self._grid.total_bytes:,}",
        )


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
