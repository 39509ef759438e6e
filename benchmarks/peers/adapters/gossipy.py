"""gossipy: each node pushes its model to one neighbor a round, who takes the mean and trains."""

from __future__ import annotations

from typing import Any

import torch
from gossipy.core import (
    AntiEntropyProtocol,
    ConstantDelay,
    CreateModelMode,
    StaticP2PNetwork,
)
from gossipy.data import DataDispatcher
from gossipy.data.handler import ClassificationDataHandler
from gossipy.model import TorchModel
from gossipy.model.handler import TorchModelHandler
from gossipy.node import GossipNode
from gossipy.simul import GossipSimulator, SimulationEventReceiver
from torch import Tensor
from torch.nn.functional import cross_entropy

from ..clock import Clock, main
from ..setting import Setting, perceptron

TIMESTEPS = 100


class Perceptron(TorchModel):  # type: ignore[misc]
    """The perceptron, as gossipy wants it."""

    def __init__(self) -> None:
        super().__init__()
        self.net = perceptron()

    def init_weights(self, *_: Any, **__: Any) -> None:
        """Keep the common start."""

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        out: Tensor = self.net(x)
        return out


class Ticks(SimulationEventReceiver):  # type: ignore[misc]
    """Notes the end of each round."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def update_message(self, failed: bool, msg: Any = None) -> None:
        """Do nothing."""

    def update_end(self) -> None:
        """Do nothing."""

    def update_timestep(self, t: int) -> None:
        """Note the last time step of a round."""
        if (t + 1) % TIMESTEPS == 0:
            self.clock.tick()


def work(setting: Setting, clock: Clock) -> list[Tensor]:
    """Train all devices."""
    adjacency = torch.zeros(setting.devices, setting.devices, dtype=torch.int64)
    for a, b in setting.edges.tolist():
        adjacency[a, b] = adjacency[b, a] = 1
    network = StaticP2PNetwork(setting.devices, adjacency.numpy())
    nodes = {
        device: GossipNode(device, ((x, y), None), TIMESTEPS, _handler(setting), network)
        for device, (x, y) in enumerate(zip(setting.x, setting.y, strict=True))
    }
    everything = ClassificationDataHandler(
        setting.x.flatten(0, 1), setting.y.flatten(), test_size=0
    )
    simulator = GossipSimulator(
        nodes,
        DataDispatcher(everything, setting.devices, eval_on_user=False),
        TIMESTEPS,
        AntiEntropyProtocol.PUSH,
        delay=ConstantDelay(0),
    )
    simulator.add_receiver(Ticks(clock))
    simulator.init_nodes()
    simulator.start(setting.rounds)
    return list(nodes[0].model_handler.model.parameters())


def _handler(setting: Setting) -> Any:
    return TorchModelHandler(
        Perceptron(),
        torch.optim.SGD,
        {"lr": setting.rate, "momentum": setting.momentum},
        cross_entropy,
        local_epochs=setting.epochs,
        batch_size=setting.batch,
        create_model_mode=CreateModelMode.MERGE_UPDATE,
    )


if __name__ == "__main__":
    main(work)
