"""P2PL: a Flower Strategy that averages nothing itself.

It is a clock and keeps the score: it tells devices who their neighbors are and when to train,
to mix and to evaluate, and gets metrics back. Models go from device to device through the
relay; in the rounds none goes through the server, and the bytes that do are counted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

import networkx as nx
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg, Result

from ..algorithms import Algorithm
from ..algorithms.codecs import Codec
from ..algorithms.mixing import MixingRule
from ..algorithms.privacy import Privacy
from ..errors import ConfigError
from ..options import (
    CONNECT_TIMEOUT,
    EVALUATE_EVERY,
    EVALUATE_TRAINED,
    FRACTION_EVALUATE,
    MIN_AVAILABLE_NODES,
    NUM_DEVICES,
    Clock,
    Logger,
    Options,
    RoundFunction,
    Told,
    check_accountant,
    told,
)
from ..relay import Relay, make_relay
from ..sharing import Sharing
from ..topology import Schedule
from . import messages, records
from .failures import ON_FAILURE, SKIP
from .final_arrays import AUTO, check_result
from .lifetime import RunningStrategy, told_of
from .mean_model import EvaluateFunction, RoundArrays
from .metrics import MetricsAggregation, mean_of_metrics, with_scores

log = logging.getLogger("flwr.p2pl")

_IN_SERVER_FN = (
    "a server_fn cannot return it: leave the strategy of flwr.server.strategy there, and replace "
    "`ServerApp(server_fn=server_fn)` by `PeerServerApp(server_fn, topology)` "
    "(from p2pl_flower import PeerServerApp)"
)


class P2PL(RunningStrategy):
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
    consensus_steps, consensus_gamma, mode, init, max_norm_scope, links, on_missing, mixing, \
codec, codec_memory, privacy, seed
        See `p2pl_flower.Options`.
    clock : Clock or str, optional
        What simulated time is counted by (see `p2pl_flower.options.Clock`), or a network's name:
        ``"wifi"``. Nothing waits for it; rounds have it as ``clock`` once all their bytes are
        known, as they have ``bytes_sent``.
    evaluate_every : int
        Devices evaluate, after training and after consensus, in every n-th round and in
        the last; 0 means never.
    evaluate_trained : bool
        Whether they evaluate after training too, which doubles the cost.
    fraction_evaluate : float
        Share of the devices that evaluate, in (0, 1], drawn anew in each round.
    num_devices : int, optional
        K; all connected nodes unless given. In a deployment, P2PL then waits until no more have
        come for a while: give it where it is known.
    min_available_nodes : int
        Nodes to wait for, at least, where ``num_devices`` is not given.
    connect_timeout : float
        Seconds to wait for nodes to connect.
    relay : Relay or str, optional
        How models get from device to device; `AutoRelay` unless given.
    weighted_by_key, arrayrecord_key, configrecord_key, train_metrics_aggr_fn, \
evaluate_metrics_aggr_fn
        As in `flwr.serverapp.strategy.FedAvg`.
    on_round : callable or Logger, optional
        Called at the end of every round with what it measured, a `p2pl_flower.history.Round`: a
        function, or an object with a method ``on_round``. `mean_model`,
        `train_metrics` and `evaluate_metrics` are those of the round then.
    loggers : str, Logger, callable or several of them, optional
        Who is told besides: trackers by name, such as ``tensorboard:runs``.
    on_failure : str
        ``"skip"``: a device whose own train or evaluate function fails sits out the round, as
        under FedAvg; a warning says why, and the run ends if all fail. ``"raise"`` ends it at the
        first. What P2PL itself refuses always ends it.
    result : str
        What `start` returns as ``arrays``: the ``"mean"`` of all models, one device's as in
        ``"device:0"``, or ``"none"``. Where models are in one place they are read there; else
        the devices are asked, once, at the end. ``"auto"`` is the mean where that takes no
        message, and none elsewhere.

    Attributes
    ----------
    rounds : list[Round]
        What the rounds measured.
    train_metrics, evaluate_metrics : dict[int, MetricRecord]
        The last that each device reported, by device. Those of its model after training are
        among the first, with ``after-training-`` before their names.
    setup : dict[str, int | float]
        What synchronization took: ``synchronization_steps``, ``bytes_sent``,
        ``bytes_through_server``.
    evaluate_config : ConfigRecord
        What evaluate functions get as config after training.

    Notes
    -----
    A subclass may override any method that Flower calls: what P2PL does in it is done in the
    ``super()`` call. One with a ``start`` of its own that calls the others itself needs no
    ``super()`` call there.

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
        mode: str = "sync",
        init: str = "auto",
        max_norm_scope: str = "model",
        links: Any = "perfect",
        on_missing: str = "self",
        mixing: str | MixingRule = "weighted",
        codec: str | Codec = "none",
        codec_memory: str = "auto",
        privacy: str | Privacy = "none",
        seed: int = 0,
        clock: Clock | str | None = None,
        evaluate_every: int = 1,
        evaluate_trained: bool = True,
        fraction_evaluate: float = 1.0,
        num_devices: int | None = None,
        min_available_nodes: int = 2,
        connect_timeout: float = 60.0,
        relay: Relay | str | None = None,
        weighted_by_key: str = "num-examples",
        arrayrecord_key: str = "arrays",
        configrecord_key: str = "config",
        train_metrics_aggr_fn: MetricsAggregation | None = None,
        evaluate_metrics_aggr_fn: MetricsAggregation | None = None,
        on_round: str | Logger | RoundFunction | None = None,
        loggers: Told = None,
        on_failure: str = SKIP,
        result: str = AUTO,
    ) -> None:
        super().__init__()
        self.options = Options(
            algorithm=algorithm,
            weights=weights,
            consensus_steps=consensus_steps,
            consensus_gamma=consensus_gamma,
            mode=mode,
            init=init,
            max_norm_scope=max_norm_scope,
            links=links,
            on_missing=on_missing,
            mixing=mixing,
            codec=codec,
            codec_memory=codec_memory,
            privacy=privacy,
            shared=shared,
            seed=seed,
        )
        if self.options.mode != "sync":
            rule = "needs devices that nobody drives: take the swarm, or peers with no server"
            raise ConfigError("mode", self.options.mode, rule)
        self.options.to_config()  # what cannot travel to devices is refused here
        check_accountant(self.options.privacy)
        self.clock = Clock.of(clock, seed=seed)
        self.topology = topology
        self.evaluate_every = EVALUATE_EVERY.take(evaluate_every)
        self.evaluate_trained = EVALUATE_TRAINED.take(evaluate_trained)
        self.fraction_evaluate = FRACTION_EVALUATE.take(fraction_evaluate)
        self.num_devices = NUM_DEVICES.take(num_devices)
        self.min_available_nodes = MIN_AVAILABLE_NODES.take(min_available_nodes)
        self.connect_timeout = CONNECT_TIMEOUT.take(connect_timeout)
        self.relay = make_relay(relay)
        self.weighted_by_key = weighted_by_key
        messages.check_keys(arrayrecord_key, configrecord_key)
        self.arrayrecord_key, self.configrecord_key = arrayrecord_key, configrecord_key
        defaults = FedAvg()  # whose averages of metrics are what users expect
        self._average = mean_of_metrics(defaults.train_metrics_aggr_fn)
        self.train_metrics_aggr_fn = train_metrics_aggr_fn or self._average
        self.evaluate_metrics_aggr_fn = evaluate_metrics_aggr_fn or self._average
        self.on_round = told([on_round, told(loggers, run="p2pl")])
        if on_failure not in ON_FAILURE:
            raise ConfigError("on_failure", on_failure, "unknown name", ON_FAILURE)
        self.on_failure, self.result = on_failure, check_result(result)

    @told_of
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
            Devices' own code failed, or no device answered.
        RelayError
            The relay could not be opened.
        """
        run = self._begin(grid, initial_arrays)
        return super().start(
            run.grid,
            initial_arrays,
            num_rounds,
            timeout,
            ConfigRecord(dict(train_config or {})),
            evaluate_config,
            evaluate_fn and run.mean.given_to(evaluate_fn),
        )

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
        flat = self.options.to_config()
        log.info("\t├──> Topology: %s", self.topology)
        log.info("\t├──> Weights: %s | links: %s", flat["weights"], flat["links"])
        log.info(
            "\t├──> Algorithm: %s, %d consensus step(s), gamma %g",
            flat["algorithm"],
            self.options.consensus_steps,
            self.options.consensus_gamma,
        )
        log.info("\t└──> Init: %s (scope %s)", self.options.init, self.options.max_norm_scope)

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Tell every device that is there to train on its own model."""
        return self._run_at(server_round, arrays, grid).begin_round(server_round, config)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Aggregate the devices' metrics.

        Returns
        -------
        tuple[ArrayRecord or None, MetricRecord or None]
            The mean of all models, which is read from the relay if somebody looks into it within
            the round, and None where they are on machines of their own; and the metrics.
        """
        run = self._run_in(server_round)
        contents = run.hear_training(replies)
        arrays = RoundArrays(run.mean) if self.relay.observable else None
        theirs = [records.without_scores(content) for content in contents]
        metrics = self.train_metrics_aggr_fn(theirs, self.weighted_by_key) if theirs else None
        return arrays, with_scores(metrics, contents, self._average, self.weighted_by_key)

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Drive the round's consensus steps, then ask for evaluation where it is due."""
        run = self._run_in(server_round)
        run.mix()
        return run.ask_to_evaluate(config)

    def aggregate_evaluate(
        self, server_round: int, replies: Iterable[Message]
    ) -> MetricRecord | None:
        """Aggregate the devices' evaluation metrics and end the round."""
        run = self._run_in(server_round)
        theirs = [records.without_ours(content) for content in run.hear_evaluation(replies)]
        metrics = self.evaluate_metrics_aggr_fn(theirs, self.weighted_by_key) if theirs else None
        run.finish_round()
        return metrics
