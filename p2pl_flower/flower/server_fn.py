"""PeerServerApp: trains peer to peer what a project with a ``server_fn`` describes.

Such a project's strategy is one of `flwr.server.strategy`, to which P2PL cannot be related:
those aggregate what clients send. But it says all that P2PL wants to know: the initial
parameters, the rounds, what clients are sent and how metrics are put together.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid, ServerApp

from ..errors import ConfigError
from ._compat import ndarrays_of, unlike_fedavg
from .metrics import MetricsAggregation
from .strategy import P2PL
from .unsupported import LEGACY_ARGUMENTS, LEGACY_UNCALLED, TREES, WRAPPER

log = logging.getLogger("flwr.p2pl")

Scalars = Mapping[str, Any]
LegacyAggregation = Callable[[list[tuple[int, Scalars]]], Scalars]
_FOREVER = 3600.0

_OPTIONS = "must be one of flwr.server.strategy: give P2PL's own options to PeerServerApp"


class PeerServerApp(ServerApp):
    """A `ServerApp` for projects with a ``server_fn`` that trains with P2PL.

    Of the strategy in the ``ServerAppComponents`` it takes ``initial_parameters``,
    ``evaluate_fn``, ``on_fit_config_fn``, ``on_evaluate_config_fn`` and the functions that
    aggregate metrics; of the config the rounds and their timeout. The strategy's own way to
    choose clients and to aggregate is not called; the log names what is left out.

    Parameters
    ----------
    server_fn : Callable[[Context], ServerAppComponents]
        As in `ServerApp`.
    topology, **options
        As in `P2PL`.

    Examples
    --------
    ::

        app = PeerServerApp(server_fn, "ring")  # was: app = ServerApp(server_fn=server_fn)
    """

    def __init__(
        self,
        server_fn: Callable[[Context], Any],
        topology: Any = "exponential",
        **options: Any,
    ) -> None:
        super().__init__()
        P2PL(topology, **options)  # refuses bad options here and now

        def main(grid: Grid, context: Context) -> None:
            components = server_fn(context)
            _run(grid, components.strategy, components.config, topology, options)

        self.main()(main)


def _run(grid: Grid, legacy: Any, config: Any, topology: Any, options: dict[str, Any]) -> None:
    """Run P2PL with what a legacy strategy and ``ServerConfig`` say."""
    if rule := _why_refused(legacy):
        raise ConfigError("strategy", type(legacy).__name__, rule)
    if uncalled := unlike_fedavg(type(legacy), LEGACY_UNCALLED):
        log.warning(
            "P2PL does not call %s of %s; it takes %s from it",
            ", ".join(uncalled),
            type(legacy).__name__,
            ", ".join(sorted(LEGACY_ARGUMENTS)),
        )
    parameters = getattr(legacy, "initial_parameters", None)
    if parameters is None:
        rule = "must be given to the strategy: P2PL asks no client for its parameters"
        raise ConfigError("initial_parameters", None, rule)
    strategy = _LegacyP2PL(legacy, topology, **options)
    evaluates = getattr(legacy, "evaluate_fn", None) is not None
    strategy.start(
        grid,
        ArrayRecord(ndarrays_of(parameters)),
        num_rounds=config.num_rounds,
        timeout=config.round_timeout or _FOREVER,
        evaluate_fn=_central(legacy.evaluate_fn) if evaluates else None,
    )


def _why_refused(legacy: Any) -> str:
    """Return why a strategy cannot be trained peer to peer; the empty text if it can be."""
    if isinstance(legacy, P2PL):
        return _OPTIONS
    if hasattr(getattr(legacy, "strategy", None), "aggregate_fit"):
        return f"is wrapped around another: {WRAPPER}"
    trees = any(kind.__name__.startswith("FedXgb") for kind in type(legacy).__mro__)
    return TREES if trees else ""


class _LegacyP2PL(P2PL):
    """P2PL whose clients are sent a legacy strategy's config of each round."""

    def __init__(self, legacy: Any, topology: Any, **options: Any) -> None:
        given = {
            "train_metrics_aggr_fn": getattr(legacy, "fit_metrics_aggregation_fn", None),
            "evaluate_metrics_aggr_fn": getattr(legacy, "evaluate_metrics_aggregation_fn", None),
        }
        translated = {name: _translated(fn) for name, fn in given.items() if fn is not None}
        super().__init__(topology, **{**translated, **options})
        self._fit_config_fn = getattr(legacy, "on_fit_config_fn", None)
        self._evaluate_config_fn = getattr(legacy, "on_evaluate_config_fn", None)

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Add the round's ``on_fit_config_fn``."""
        self.evaluate_config = _with(ConfigRecord(), self._evaluate_config_fn, server_round)
        config = _with(config, self._fit_config_fn, server_round)
        return super().configure_train(server_round, arrays, config, grid)

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Add the round's ``on_evaluate_config_fn``."""
        config = _with(config, self._evaluate_config_fn, server_round)
        return super().configure_evaluate(server_round, arrays, config, grid)


def _with(
    config: ConfigRecord, of_round: Callable[[int], Scalars] | None, server_round: int
) -> ConfigRecord:
    return ConfigRecord({**config, **(of_round(server_round) if of_round else {})})


def _translated(function: LegacyAggregation) -> MetricsAggregation:
    """Return a legacy aggregation of metrics as one of the message API."""

    def aggregate(contents: list[RecordDict], weighted_by_key: str) -> MetricRecord:
        records: list[dict[str, Any]] = [
            dict(next(iter(content.metric_records.values()))) for content in contents
        ]
        pairs: list[tuple[int, Scalars]] = [(int(r.pop(weighted_by_key)), r) for r in records]
        return _metrics(function(pairs))

    return aggregate


def _central(evaluate_fn: Callable[..., Any]) -> Callable[[int, ArrayRecord], MetricRecord | None]:
    """Return a legacy ``evaluate_fn`` as one of the message API."""

    def evaluate(server_round: int, arrays: ArrayRecord) -> MetricRecord | None:
        found = evaluate_fn(server_round, arrays.to_numpy_ndarrays(), {})
        if found is None:
            return None
        loss, metrics = found
        return _metrics({"loss": float(loss), **metrics})

    return evaluate


def _metrics(scalars: Scalars) -> MetricRecord:
    return MetricRecord({k: v + 0 for k, v in scalars.items() if isinstance(v, int | float)})
