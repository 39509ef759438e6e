"""What people bring, in the swarm and in a plain loop over devices, in turn.

``python -m benchmarks.swarm_models`` trains networks on random images, and notes the least CPU
seconds of a round in the swarm, in a loop of plain PyTorch over the devices on one thread, and in
the same loop with the channels last; of a round with AdamW; and of scoring all models on as many
images for each that a device trains on as MNIST's 10,000 are for 600.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, relu

from p2pl_flower.options import Options
from p2pl_flower.seeding import batch_order
from p2pl_flower.swarm import Gossip, Job, Machine, Swarm, TrainOptions
from p2pl_flower.topology import schedule
from simulations import models

from .swarm_common import parser, write

BATCH, CLASSES = 10, 10


class Written(nn.Module):
    """The perceptron of the experiments, written as a class."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = (
            nn.Linear(784, 200),
            nn.Linear(200, 200),
            nn.Linear(200, 10),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        return self.three(relu(self.two(relu(self.one(x.flatten(1))))))  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Work:
    """A network and its images.

    Attributes
    ----------
    name : str
        Of the network.
    factory : Callable[[int], nn.Module]
        Makes it from a seed.
    shape : tuple[int, int, int]
        Of an image.
    samples : int
        Of each device.
    test : int
        Images that are scored.
    """

    name: str
    factory: Callable[[int], nn.Module]
    shape: tuple[int, int, int]
    samples: int
    test: int


def batch_normalized(seed: int) -> nn.Module:
    """Return the ResNet-20 with batch normalization."""
    made = models.build("resnet20", (3, 32, 32), CLASSES, seed)
    for path, part in list(made.named_modules()):
        if isinstance(part, nn.GroupNorm):
            owner, _, last = path.rpartition(".")
            setattr(made.get_submodule(owner), last, nn.BatchNorm2d(part.num_channels))
    return made


def work() -> list[Work]:
    """Return all that is measured."""
    gray, color = (1, 28, 28), (3, 32, 32)
    return [
        Work("mlp", lambda s: models.build("mlp", gray, CLASSES, s), gray, 600, 10_000),
        Work("mlp as a class", lambda _: Written(), gray, 600, 10_000),
        Work("cnn", lambda s: models.build("cnn", gray, CLASSES, s), gray, 600, 10_000),
        Work("resnet20", lambda s: models.build("resnet20", color, CLASSES, s), color, 20, 333),
        Work("resnet20 with BatchNorm", batch_normalized, color, 20, 333),
    ]


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the JSON and print a summary."""
    line = parser(__file__, __doc__)
    line.add_argument("--devices", type=int, default=20, help="how many (20)")
    line.add_argument("--rounds", type=int, default=3, help="rounds of each (3)")
    line.add_argument("--only", default="", help="one network's name")
    parsed = line.parse_args(arguments)
    table: list[tuple[str, ...]] = [
        ("network", "path", "swarm", "loop", "channels last", "AdamW", "scoring")
    ]
    found = []
    for each in work():
        if parsed.only in ("", each.name):
            measured = measure(each, parsed.devices, parsed.rounds)
            found.append(measured)
            table.append(tuple(v if isinstance(v, str) else f"{v:.3f}" for v in measured.values()))
    write(parsed, table, cpu_seconds=found, devices=parsed.devices)
    return 0


def measure(each: Work, devices: int, rounds: int) -> dict[str, str | float]:
    """Return the least CPU seconds of a round in every way, taken in turn."""
    draw = torch.Generator().manual_seed(0)
    data = [
        (
            torch.randn(each.samples, *each.shape, generator=draw),
            torch.randint(0, CLASSES, (each.samples,), generator=draw),
        )
        for _ in range(devices)
    ]
    scored = torch.randn(each.test, *each.shape), torch.randint(0, CLASSES, (each.test,))
    made = _swarm(each, data, rounds, scored)
    swarm = _rounds(made)
    adamw = _rounds(_swarm(each, data, rounds, None, "adamw", 1e-3))
    plain, last = (_loop(each, data, rounds, channels_last) for channels_last in (False, True))
    return {
        "network": each.name,
        "path": made.block.path,
        "swarm": swarm,
        "loop": plain,
        "channels last": last,
        "AdamW": adamw,
        "scoring": _scoring(made),
    }


def _swarm(
    each: Work,
    data: list[tuple[Tensor, Tensor]],
    rounds: int,
    test: tuple[Tensor, Tensor] | None,
    optimizer: str = "sgd",
    rate: float = 0.05,
) -> Swarm:
    training = TrainOptions(batch_size=BATCH, learning_rate=rate, optimizer=optimizer)
    machine = Machine(keep_memory=True)
    job = Job(each.factory, data, test, rounds, training=training, machine=machine)
    samples = [len(y) for _, y in data]
    return Swarm(job, Gossip(schedule("ring", len(data), 0), Options(), samples))  # type: ignore[arg-type]


def _rounds(made: Swarm) -> float:
    """Run rounds without scoring them; return the CPU seconds of the quickest."""
    ends: list[float] = []
    everybody = made.plan.trains(1)
    with made.block as block:
        made.start()
        for number in range(1, made.job.rounds + 1):
            started = time.process_time()
            block.train(everybody, number)
            block.mix(made.plan.mixings(number))
            ends.append(time.process_time() - started)
    return min(ends)


def _scoring(made: Swarm) -> float:
    with made.block as block:
        started = time.process_time()
        block.values(made.plan.scored(1))
        return time.process_time() - started


def _loop(each: Work, data: list[tuple[Tensor, Tensor]], rounds: int, channels_last: bool) -> float:
    """Train all devices one after the other in plain PyTorch; return the quickest round's.

    On one thread: several wait for each other in so small steps, and take more CPU time.
    """
    torch.set_num_threads(1)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    nets = [each.factory(seed).to(memory_format=layout).train() for seed in range(len(data))]
    found = []
    for number in range(1, rounds + 1):
        started = time.process_time()
        for device, (net, (x, y)) in enumerate(zip(nets, data, strict=True)):
            optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.5)
            order = torch.from_numpy(batch_order(0, device, number, 0, len(y)))
            for places in torch.split(order, BATCH):
                optimizer.zero_grad()
                batch = x[places].contiguous(memory_format=layout)
                cross_entropy(net(batch), y[places]).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        found.append(time.process_time() - started)
    return min(found)


if __name__ == "__main__":
    sys.exit(main())
