"""p2pfl: all nodes in one process over its memory protocol, all of them in the train set."""

from __future__ import annotations

import time
from typing import Any

import lightning
import torch
from datasets import Dataset, DatasetDict
from p2pfl.communication.protocols.protobuff.memory import MemoryCommunicationProtocol
from p2pfl.learning.dataset.p2pfl_dataset import P2PFLDataset
from p2pfl.learning.frameworks.pytorch.lightning_learner import LightningLearner
from p2pfl.learning.frameworks.pytorch.lightning_model import LightningModel
from p2pfl.node import Node
from p2pfl.utils.utils import set_standalone_settings, wait_convergence
from torch import Tensor
from torch.nn.functional import cross_entropy

from ..clock import Clock, main
from ..setting import Setting, perceptron

LOOK_SECONDS = 0.02


class Perceptron(lightning.LightningModule):  # type: ignore[misc]
    """The perceptron, as Lightning trains it."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.net = perceptron()
        self.rate, self.momentum = setting.rate, setting.momentum

    def training_step(self, batch: dict[str, Tensor], _: int) -> Tensor:
        """Return a batch's loss."""
        return cross_entropy(self.net(batch["x"].float()), batch["y"])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return SGD."""
        return torch.optim.SGD(self.parameters(), lr=self.rate, momentum=self.momentum)


class Unscored(LightningLearner):  # type: ignore[misc]
    """Trains, and scores nothing."""

    def evaluate(self) -> dict[str, float]:
        """Return no scores."""
        return {}


def work(setting: Setting, clock: Clock) -> list[Tensor]:
    """Train all nodes."""
    set_standalone_settings()
    nodes = [_node(setting, device) for device in range(setting.devices)]
    for node in nodes:
        node.start()
    for a, b in setting.edges.tolist():
        nodes[a].connect(nodes[b].addr)
    wait_convergence(nodes, setting.devices - 1, wait=120)
    nodes[0].set_start_learning(setting.rounds, setting.epochs, trainset_size=setting.devices)
    for number in range(1, setting.rounds + 1):
        while not _has_ended(nodes, number, setting.rounds):
            time.sleep(LOOK_SECONDS)
        clock.tick()
    found = nodes[0].learner.get_model().get_parameters()
    for node in nodes:
        node.stop()
    return [torch.as_tensor(array) for array in found]


def _has_ended(nodes: list[Any], number: int, rounds: int) -> bool:
    """Tell whether all nodes have ended a round; with the last one they forget which it was."""
    at = [node.state.round for node in nodes]
    if number == rounds:
        return all(each is None for each in at)
    return all(each is None or each >= number for each in at)


def _node(setting: Setting, device: int) -> Any:
    rows = {"x": setting.x[device].numpy(), "y": setting.y[device].numpy()}
    data = Dataset.from_dict(rows).with_format("torch")
    split = DatasetDict({"train": data, "test": data.select([0])})
    return Node(
        LightningModel(Perceptron(setting)),
        P2PFLDataset(split, batch_size=setting.batch),
        addr=f"node-{device}",
        learner=Unscored(),
        protocol=MemoryCommunicationProtocol(),
    )


if __name__ == "__main__":
    main(work)
