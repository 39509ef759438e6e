"""PeerServerApp: trains peer to peer what a project with a ``server_fn`` describes.

Such a project's strategy is one of `flwr.server.strategy`, to which P2PL cannot be related:
those aggregate what clients send. But it says all that P2PL wants to know: the initial
parameters, the rounds, what clients are sent and how metrics are put together.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import Result

from ..errors import ConfigError, P2PLError
from . import messages
from ._compat import (
    default_config,
    default_strategy,
    ndarrays_of,
    no_clients,
    parameters_of,
    unlike_fedavg,
)
from .failures import RAISE
from .mean_model import EvaluateFunction
from .metrics import MetricsAggregation
from .strategy import P2PL
from .unsupported import LEGACY_ARGUMENTS, LEGACY_UNCALLED, TREES, WRAPPER

log = logging.getLogger("flwr.p2pl")

Scalars = Mapping[str, Any]
LegacyAggregation = Callable[[list[tuple[int, Scalars]]], Scalars]
_FOREVER = 3600.0

_ASKED = re.compile("get_parameters|initial_arrays='empty'")
_NO_PARAMETERS = "must be given to the strategy where no client can be asked for its parameters"

_OPTIONS = "must be one of flwr.server.strategy: give P2PL's own options to PeerServerApp"


class PeerServerApp(ServerApp):
    """A `ServerApp` for projects with a ``server_fn`` that trains with P2PL.

    Of the strategy in the ``ServerAppComponents``, or of their server's, it takes
    ``initialize_parameters``, ``evaluate`` and ``evaluate_fn``, ``on_fit_config_fn``,
    ``on_evaluate_config_fn``, the functions that aggregate metrics, ``fraction_evaluate`` and
    ``accept_failures``; of the config the rounds and their timeout. Where there are no initial
    parameters, one client is asked for its own, and its neighbors hand them on. The strategy's own
    way to choose clients and to aggregate is not called; the log names what is left out, before
    the first round and after the last.

    Parameters
    ----------
    server_fn : Callable[[Context], ServerAppComponents]
        As in `ServerApp`.
    topology, **options
        As in `P2PL`.
    on_result : Callable[[Result], None], optional
        Called at the end with the final arrays and the metrics of all rounds, to save them, say.

    Examples
    --------
    ::

        app = PeerServerApp(server_fn, "ring")  # was: app = ServerApp(server_fn=server_fn)
    """

    def __init__(
        self,
        server_fn: Callable[[Context], Any],
        topology: Any = "exponential",
        *,
        on_result: Callable[[Result], None] | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        P2PL(topology, **options)  # refuses bad options here and now

        def main(grid: Grid, context: Context) -> None:
            result = _run(grid, server_fn(context), topology, options)
            if on_result is not None:
                on_result(result)

        self.main()(main)


def _run(grid: Grid, components: Any, topology: Any, options: dict[str, Any]) -> Result:
    """Run P2PL with what a legacy strategy and ``ServerConfig`` say."""
    legacy = _strategy_of(components)
    if rule := _why_refused(legacy):
        raise ConfigError("strategy", type(legacy).__name__, rule)
    uncalled = unlike_fedavg(type(legacy), LEGACY_UNCALLED)
    if uncalled:
        log.warning(
            "P2PL does not call %s of %s; it takes %s from it",
            ", ".join(uncalled),
            type(legacy).__name__,
            ", ".join(sorted(LEGACY_ARGUMENTS)),
        )
    parameters = legacy.initialize_parameters(no_clients())
    strategy = _LegacyP2PL(legacy, topology, **options)
    config = components.config or default_config()
    try:
        result = strategy.start(
            grid,
            ArrayRecord() if parameters is None else ArrayRecord(ndarrays_of(parameters)),
            num_rounds=config.num_rounds,
            timeout=config.round_timeout or _FOREVER,
            evaluate_fn=_central(legacy, strategy.relay.observable),
        )
    except P2PLError as error:
        if parameters is None and _ASKED.search(str(error)):
            raise ConfigError("initial_parameters", None, f"{_NO_PARAMETERS}: {error}") from error
        raise
    if uncalled:
        log.warning(
            "%s of %s: not called in any round. What it saves or logs is not there: "
            "PeerServerApp(on_result=...) is given the final arrays and the metrics of all rounds, "
            "and PeerServerApp(on_round=...) what each round measured",
            ", ".join(uncalled),
            type(legacy).__name__,
        )
    return result


def _strategy_of(components: Any) -> Any:
    """Return the strategy that a ``server_fn`` gives, or Flower's own where it gives none."""
    if components.strategy is not None:
        return components.strategy
    return default_strategy() if components.server is None else components.server.strategy


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
        says: dict[str, Any] = {n: _translated(fn) for n, fn in given.items() if fn is not None}
        fraction = getattr(legacy, "fraction_evaluate", 1.0)
        says |= {"fraction_evaluate": fraction} if fraction else {"evaluate_every": 0}
        if not getattr(legacy, "accept_failures", True):
            says["on_failure"] = RAISE
        super().__init__(topology, **{**says, **options})
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
    """Return a legacy aggregation of metrics as one of the message API.

    It gets what the clients returned, texts, bytes and truth values too.
    """

    def aggregate(contents: list[RecordDict], weighted_by_key: str) -> MetricRecord:
        pairs: list[tuple[int, Scalars]] = []
        for content in contents:
            numbers: dict[str, Any] = dict(next(iter(content.metric_records.values())))
            count = int(numbers.pop(weighted_by_key))
            returned = content.config_records.get(messages.CLIENT_METRICS, ConfigRecord())
            pairs.append((count, {**numbers, **returned}))
        return _metrics(function(pairs) or {})

    return aggregate


def _central(legacy: Any, observable: bool) -> EvaluateFunction | None:
    """Return a legacy strategy's ``evaluate`` as an ``evaluate_fn`` of the message API.

    None where it would evaluate nothing: Flower's own calls the strategy's ``evaluate_fn``.
    """
    own = bool(unlike_fedavg(type(legacy), ["evaluate"]))
    if getattr(legacy, "evaluate_fn", None) is None and not (own and observable):
        return None

    def evaluate(server_round: int, arrays: ArrayRecord) -> MetricRecord | None:
        found = legacy.evaluate(server_round, parameters_of(arrays.to_numpy_ndarrays()))
        if found is None:
            return None
        loss, metrics = found
        return _metrics({"loss": float(loss), **metrics})

    return evaluate


def _metrics(scalars: Scalars) -> MetricRecord:
    """Return the numbers among metrics, NumPy's and lists of them too; the log has the others."""
    plain = {
        k: v.tolist() if isinstance(v, np.generic | np.ndarray) else v for k, v in scalars.items()
    }
    numbers = {k: v + 0 if isinstance(v, int | float) else v for k, v in plain.items() if _fits(v)}
    if others := {k: v for k, v in plain.items() if k not in numbers}:
        log.info("\t└──> Metrics that are no numbers: %s", others)
    return MetricRecord(numbers)


def _fits(value: Any) -> bool:
    if isinstance(value, list):
        return {type(number) for number in value} in ({int}, {float})
    return isinstance(value, int | float)
