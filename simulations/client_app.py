"""The devices of a comparison, as a Flower ClientApp: `PeerApp` for ``ClientApp``."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from numpy.typing import NDArray
from torch import Tensor, nn

from p2pl_flower import PeerApp, Relay, local_correction
from p2pl_flower.seeding import batch_order
from p2pl_flower.swarm import PRECISIONS
from p2pl_flower.swarm.augmentation import Draw

from . import datasets, models, training
from .attacks.flower import AttackedApp, attacks, claims
from .evaluation import evaluate
from .samples import device_samples, scored_samples
from .scenario import Scenario

Read = Callable[[Context], Scenario]

_OPTIMIZER = "optimizer"
"""Where a device's context has its optimizer's state, if that is kept from round to round."""


def make_client_app(read: Read, relay: Relay | None = None) -> PeerApp:
    """Return the ClientApp of the scenario that ``read`` finds, given a device's context."""
    app = AttackedApp(read, relay)

    @app.init()
    def init(context: Context, seed: int) -> ArrayRecord:
        scenario = read(context)
        drawn = make_model(scenario, seed).state_dict()
        lies = claims(scenario, context, seed)
        return ArrayRecord(dict(scenario.attacking.drawn(drawn)) if lies else drawn)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        scenario = read(context)
        model = _received_model(scenario, message)
        x, y = _own_samples(scenario, context)
        number = _round_number(message)
        kept = None if scenario.train_options().reset_optimizer else _kept(context)
        loss = training.train(
            model,
            x,
            y,
            scenario.train_options().in_round(number),
            _order(scenario, context, number, len(y)),
            _correction(scenario),
            _draw(scenario, context, number),
            kept,
        )
        if kept is not None:
            _keep(context, kept)
        metrics = MetricRecord({"num-examples": len(y), "train-loss": loss})
        arrays = ArrayRecord(model.state_dict())
        return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        scenario = read(context)
        if attacks(scenario, context):  # is not scored
            metrics = MetricRecord({"num-examples": 0})
        else:
            metrics = score(scenario, _received_model(scenario, message))
        return Message(RecordDict({"metrics": metrics}), reply_to=message)

    return app


def make_model(scenario: Scenario, seed: int) -> nn.Module:
    """Return the scenario's model, drawn from ``seed``."""
    data = datasets.load(scenario.dataset, scenario.data_dir)
    model = models.build(scenario.model, data.shape, data.classes, seed)
    return model.to(scenario.torch_device)


def score(scenario: Scenario, model: nn.Module) -> MetricRecord:
    """Return loss, accuracy and the scenario's metrics of a model on what it is scored on."""
    x, y = scored_samples(scenario, scenario.max_test_samples)
    precision = PRECISIONS[scenario.evaluate_precision]
    found = evaluate(model, x, y, precision, metrics=scenario.metrics)
    return MetricRecord({"num-examples": len(y), **found})


def _received_model(scenario: Scenario, message: Message) -> nn.Module:
    torch.set_num_threads(1)  # as many processes as cores train side by side
    name = scenario.dataset, scenario.data_dir, scenario.model, scenario.torch_device
    model, unsaved = _workspace(*name, threading.get_ident())
    arrays = message.content.array_records["arrays"]
    model.load_state_dict(arrays.to_torch_state_dict())
    for buffer, value in unsaved.items():
        model.get_buffer(buffer).copy_(value)
    return model


@functools.lru_cache(maxsize=16)
def _workspace(
    dataset: str, data_dir: str, model: str, device: str, thread: int
) -> tuple[nn.Module, dict[str, Tensor]]:
    """Return a model to load arrays into, the same one for all devices of a thread.

    And the buffers that it was made with, of those that are not among the arrays.
    """
    data = datasets.load(dataset, data_dir)
    made = models.build(model, data.shape, data.classes, seed=0).to(device)
    saved = made.state_dict().keys()
    return made, {n: b.clone() for n, b in made.named_buffers() if n not in saved}


def _own_samples(scenario: Scenario, context: Context) -> tuple[Tensor, Tensor]:
    data = datasets.load(scenario.dataset, scenario.data_dir)
    count = int(context.node_config["num-partitions"])
    own = device_samples(scenario, count)[int(context.node_config["partition-id"])]
    x, y = torch.from_numpy(data.pixels(data.train_x[own])), torch.from_numpy(data.train_y[own])
    if attacks(scenario, context):
        y = scenario.attacking.labels(y, data.classes)
    return x.to(scenario.torch_device), y.to(scenario.torch_device)


def _round_number(message: Message) -> int:
    [config] = message.content.config_records.values()
    number: Any = config["server-round"]
    return int(number)


def _order(
    scenario: Scenario, context: Context, number: int, samples: int
) -> Callable[[int], NDArray[Any]]:
    device = int(context.node_config["partition-id"])
    return lambda epoch: batch_order(scenario.seed, device, number, epoch, samples)


def _draw(
    scenario: Scenario, context: Context, number: int
) -> Callable[[int, int, Sequence[int]], Draw]:
    device = int(context.node_config["partition-id"])
    return lambda epoch, step, own: Draw(scenario.seed, device, number, epoch, step, own)


def _kept(context: Context) -> training.Kept:
    """Return the optimizer's state that a device has in its context."""
    found: training.Kept = {}
    arrays = context.state.array_records.get(_OPTIMIZER)
    for key, tensor in (arrays.to_torch_state_dict() if arrays is not None else {}).items():
        name, _, part = key.rpartition("/")
        found.setdefault(name, {})[part] = tensor
    return found


def _keep(context: Context, kept: training.Kept) -> None:
    flat = {f"{n}/{part}": t for n, parts in kept.items() for part, t in parts.items()}
    context.state[_OPTIMIZER] = ArrayRecord({key: tensor.cpu() for key, tensor in flat.items()})


def _correction(scenario: Scenario) -> dict[str, Tensor]:
    found = {name: torch.from_numpy(array) for name, array in local_correction().items()}
    return {name: tensor.to(scenario.torch_device) for name, tensor in found.items()}


app = make_client_app(lambda context: Scenario.of_run(context.run_config))
