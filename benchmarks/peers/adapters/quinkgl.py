"""QuinkGL: all its learning nodes in one process, which hand each other their messages.

Each trains, sends its model to three neighbors drawn at random, and takes the mean of what it
has heard. Nobody waits for anybody, so that a round is as many trainings as there are devices.
"""

from __future__ import annotations

import asyncio
from typing import Any

import torch
from quinkgl import FedAvg, PyTorchModel, RandomTopology, TrainingConfig
from quinkgl.core.learning_node import LearningNode
from torch import Tensor

from ..clock import Clock, main
from ..setting import Setting, perceptron

WAIT_SECONDS = 0.05


def work(setting: Setting, clock: Clock) -> list[Tensor]:
    """Train all nodes."""
    nodes = {str(device): _node(setting, str(device)) for device in range(setting.devices)}
    asyncio.run(_run(setting, nodes, clock))
    return list(nodes["0"].get_model().model.parameters())


async def _run(setting: Setting, nodes: dict[str, Any], clock: Clock) -> None:
    trained = 0

    async def send(name: str, message: Any) -> None:
        await nodes[name].aggregator.handle_incoming_message(message)

    async def count(_: Any) -> None:
        nonlocal trained
        trained += 1
        if trained % setting.devices == 0:
            clock.tick()
        if trained == setting.devices * setting.rounds:
            await asyncio.gather(*(node.stop() for node in nodes.values()))

    for name, node in nodes.items():
        for neighbor in setting.neighbors(int(name)):
            node.add_peer(str(neighbor))
        node.aggregator.send_message_callback = send
        node.register_hook("on_training_complete", count)
    data = dict(zip(nodes, zip(setting.x, setting.y, strict=True), strict=True))
    await asyncio.gather(*(node.run_continuous(data[name]) for name, node in nodes.items()))


def _node(setting: Setting, name: str) -> Any:
    training = TrainingConfig(
        epochs=setting.epochs,
        batch_size=setting.batch,
        learning_rate=setting.rate,
        optimizer=torch.optim.SGD,
        optimizer_kwargs={"momentum": setting.momentum},
    )
    return LearningNode(
        name,
        "benchmark",
        PyTorchModel(perceptron()),
        RandomTopology(),
        FedAvg(),
        gossip_interval=WAIT_SECONDS,
        training_config=training,
    )


if __name__ == "__main__":
    main(work)
