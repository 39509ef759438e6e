"""The swarm in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

import networkx as nx
import numpy as np

from ..errors import ConfigError
from ..history import History, environment
from ..options import Clock, Options, Told, told
from ..topology import Schedule, schedule
from .drawing import ModelFactory
from .engine import Swarm
from .job import Job
from .options import TrainOptions, plain
from .plans import Gossip
from .result import Result
from .sources import device_samples

_TRAINING = frozenset(f.name for f in fields(TrainOptions))
_JOB = frozenset(f.name for f in fields(Job)) - {"model", "data", "test", "rounds", "training"}


def simulate(
    model: ModelFactory,
    data: Any,
    topology: str | nx.Graph | Schedule | Callable[..., nx.Graph] = "erdos-renyi:p=0.1",
    options: Options | None = None,
    training: TrainOptions | None = None,
    *,
    rounds: int,
    test: Any = None,
    loggers: Told = None,
    **rest: Any,
) -> Result:
    r"""Train all devices peer to peer, in this process.

    Parameters
    ----------
    model : callable
        Makes a device's initial model: ``(seed) -> nn.Module``, or a module's class.
    data : sequence or partitioner
        Each device's inputs, shape (n_k, ...), and targets, shape (n_k, ...): pairs of tensors,
        arrays or lists, datasets of PyTorch's or Hugging Face's, or a partitioner of
        flwr-datasets (see `p2pl_flower.swarm.sources.device_samples`).
    topology : str, networkx.Graph, Schedule or callable
        Who is whose neighbor, as for `p2pl_flower.P2PL`.
    options : Options, optional
        Algorithm, weights, consensus steps, init, links and seed.
    training : TrainOptions, optional
        Options of local training.
    rounds : int
        Rounds to run.
    test : (x, y) or dataset, optional
        The test set on which all models are scored.
    loggers : str, Logger, callable or several of them, optional
        Who is told what each round measured: trackers by name, such as ``tensorboard:runs``.
    **rest
        See `Job`: ``evaluate_every``, ``evaluate_trained``, ``evaluate_precision``,
        ``fraction_evaluate``, ``max_test_samples``, ``metrics``, ``machine``, ``progress`` (a
        bar, on unless it is False), ``on_round``, ``checkpoint``, ``checkpoint_every``,
        ``initial``, ``name``, ``clock`` (what simulated time is counted by, or a network's name:
        ``"wifi"``). And, in the place of those in ``training``, see `TrainOptions`:
        ``loss``, ``optimizer``, ``batch_size``, ...

    Returns
    -------
    Result
        What the rounds measured, as one run, and the models.

    Raises
    ------
    ConfigError
        Options do not fit each other or the data, or the run does not fit into memory.

    Examples
    --------
    ::

        result = simulate(Net, data, "ring", rounds=20, test=(x, y), optimizer="adam")
        result.final().after_consensus.accuracy.mean
        net.load_state_dict(result.state_dict(3))
    """
    unknown = sorted(rest.keys() - _TRAINING - _JOB)
    if unknown:
        rule = "unknown option of simulate()"
        raise ConfigError(unknown[0], rest[unknown[0]], rule, sorted(_JOB | _TRAINING))
    options = Options() if options is None else options
    given = {name: value for name, value in rest.items() if name in _TRAINING}
    training = replace(TrainOptions() if training is None else training, **given)
    others = {name: value for name, value in rest.items() if name in _JOB}
    others["on_round"] = told([rest.get("on_round"), told(loggers, rest.get("name", Job.name))])
    others["clock"] = Clock.of(others.get("clock"), training.local_epochs, options.seed)
    pairs = device_samples(data)
    job = Job(model, pairs, test, rounds, training=training, **{"progress": True, **others})
    graphs = schedule(topology, len(pairs), options.seed)
    swarm = Swarm(job, Gossip(graphs, options, np.array([len(y) for _, y in pairs])))
    run = swarm.run()
    scenario = {"topology": str(topology), **_configuration(job, options, swarm)}
    return Result(History(scenario, environment(), [run]), swarm.stack, graphs, options)


def _configuration(job: Job, options: Options, swarm: Swarm) -> Mapping[str, Any]:
    """Return all options under the keys that scenarios have for them."""
    measuring = (
        "evaluate_every",
        "evaluate_trained",
        "evaluate_precision",
        "fraction_evaluate",
        "max_test_samples",
        "metrics",
    )
    known = {
        "rounds": job.rounds,
        "num_devices": swarm.plan.devices,
        "model": plain(job.model),
        "initial": plain(job.initial) if isinstance(job.initial, str) else job.initial is not None,
        "path": swarm.block.path,
        "torch_device": job.machine.torch_device,
        **{name: plain(getattr(job, name)) for name in measuring},
        **{name: plain(value) for name, value in options.to_config().items()},
        **job.training.describe(),
        **(job.clock.described() if job.clock.network.is_there else {}),
    }
    return {name.replace("_", "-"): value for name, value in known.items()}
