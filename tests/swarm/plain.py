"""Plain PyTorch, one device after the other, on the batches that the swarm says it uses."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from p2pl_flower.options import Options
from p2pl_flower.seeding import Stream, batch_order, derive
from p2pl_flower.swarm import Gossip, Job, Machine, Swarm, TrainOptions
from p2pl_flower.topology import schedule

Data = list[tuple[torch.Tensor, torch.Tensor]]


def seeded(factory: Callable[[], nn.Module], device: int) -> nn.Module:
    """Return the model that a device draws, seed 0."""
    with torch.random.fork_rng():
        torch.manual_seed(derive(0, Stream.INIT, device))
        return factory()


def batches(data: Data, device: int, number: int, options: TrainOptions):
    """Yield a device's mini-batches in a round."""
    x, y = data[device]
    for epoch in range(options.local_epochs):
        order = torch.from_numpy(batch_order(0, device, number, epoch, len(y)))
        for part in torch.split(order, options.batch_size):
            yield x[part], y[part]


def train(
    factory: Callable[[], nn.Module],
    data: Data,
    options: TrainOptions,
    make: Callable[..., torch.optim.Optimizer],
    *,
    rounds: int = 2,
    loss: Callable[..., torch.Tensor] = functional.cross_entropy,
    keep: bool = False,
) -> list[dict[str, torch.Tensor]]:
    """Return the devices' models after some rounds without mixing.

    ``make`` makes the optimizer of a list of parameters, anew in each round unless ``keep``.
    """
    models = []
    for device in range(len(data)):
        net = seeded(factory, device).train()
        params = [p for p in net.parameters() if p.requires_grad]
        optimizer = make(params)
        for number in range(1, rounds + 1):
            optimizer = optimizer if keep else make(params)
            for x, y in batches(data, device, number, options):
                optimizer.zero_grad()
                loss(net(x), y).backward()
                if options.clip_norm:
                    nn.utils.clip_grad_norm_(params, options.clip_norm)
                optimizer.step()
        models.append({name: t.detach().clone() for name, t in net.state_dict().items()})
    return models


def swarm(
    factory: Callable[[], nn.Module],
    data: Data,
    options: TrainOptions,
    *,
    rounds: int = 2,
    machine: Machine | None = None,
) -> Swarm:
    """Return a swarm that has trained without mixing, every device from its own draw."""
    machine = Machine(workers=1) if machine is None else machine
    job = Job(factory, data, None, rounds, training=options, machine=machine)
    given = Options(init="independent", consensus_steps=0)
    made = Swarm(job, Gossip(schedule("ring", len(data), 0), given, [len(y) for _, y in data]))
    made.run()
    return made


def difference(made: Swarm, expected: list[dict[str, torch.Tensor]]) -> float:
    """Return the largest difference of any number of any device's model."""
    apart = [
        float((tensor[k].double() - model[name].double()).abs().max())
        for name, tensor in made.stack.tensors.items()
        for k, model in enumerate(expected)
        if tensor[k].numel()
    ]
    return max(apart)
