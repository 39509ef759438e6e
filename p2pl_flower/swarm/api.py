"""The swarm in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import networkx as nx
import numpy as np

from ..history import History, environment
from ..options import Options
from ..topology import Schedule, schedule
from .engine import Swarm
from .job import Job
from .options import TrainOptions
from .plans import Gossip
from .stack import ModelFactory


def simulate(
    model: ModelFactory,
    data: Sequence[tuple[Any, Any]],
    topology: str | nx.Graph | Schedule | Callable[..., nx.Graph] = "erdos-renyi:p=0.1",
    options: Options | None = None,
    training: TrainOptions | None = None,
    *,
    rounds: int,
    test: tuple[Any, Any] | None = None,
    **rest: Any,
) -> History:
    r"""Train all devices peer to peer, in this process.

    Parameters
    ----------
    model : callable
        Makes a device's initial model: ``(seed) -> nn.Module``, or a module's class.
    data : sequence of (x, y)
        Each device's inputs, shape (n_k, ...), and labels, shape (n_k,): tensors or arrays.
    topology : str, networkx.Graph, Schedule or callable
        Who is whose neighbor, as for `p2pl_flower.P2PL`.
    options : Options, optional
        Algorithm, weights, consensus steps, init, links and seed.
    training : TrainOptions, optional
        Epochs, batch size, learning rate and momentum.
    rounds : int
        Rounds to run.
    test : (x, y), optional
        The test set on which all models are scored.
    **rest
        See `Job`: ``evaluate_every``, ``evaluate_trained``, ``evaluate_precision``, ``machine``,
        ``progress`` (a bar, on unless it is False), ``on_round``, ``checkpoint``,
        ``checkpoint_every``, ``name``.

    Returns
    -------
    History
        What the rounds measured, as one run.

    Raises
    ------
    ConfigError
        Options do not fit each other, the module cannot be mapped over devices, or the
        run does not fit into memory.

    Examples
    --------
    ::

        history = simulate(Net, data, "ring", rounds=20, test=(x, y))
        history.runs[0].final().after_consensus.accuracy.mean
    """
    options = Options() if options is None else options
    training = TrainOptions() if training is None else training
    job = Job(model, data, test, rounds, training=training, **{"progress": True, **rest})
    graphs = schedule(topology, len(data), options.seed)
    swarm = Swarm(job, Gossip(graphs, options, np.array([len(y) for _, y in data])))
    scenario = {"topology": str(topology), "rounds": rounds, "num-devices": len(data)}
    return History(scenario, environment(), [swarm.run()])
