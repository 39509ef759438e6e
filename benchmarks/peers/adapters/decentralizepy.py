"""decentralizepy: its D-PSGD nodes, one process a device, which talk over TCP."""

from __future__ import annotations

import json
import logging
import multiprocessing
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from decentralizepy.datasets.Dataset import Dataset
from decentralizepy.graphs.Graph import Graph
from decentralizepy.mappings.Linear import Linear
from decentralizepy.models.Model import Model
from decentralizepy.node.DPSGDNode import DPSGDNode
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from ..clock import Clock, main
from ..setting import Setting, perceptron

LOOK_SECONDS = 0.02
HERE = "benchmarks.peers.adapters.decentralizepy"

current: Any = None
"""The setting, and how many rounds devices have begun; set before their processes are forked."""


class Perceptron(Model):  # type: ignore[misc]
    """The perceptron, as decentralizepy wants it."""

    def __init__(self) -> None:
        super().__init__()
        self.net = perceptron()

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        out: Tensor = self.net(x)
        return out


class Share(Dataset):  # type: ignore[misc]
    """A device's images; counts the rounds that begin."""

    def get_trainset(self, batch_size: int = 1, shuffle: bool = False) -> Any:
        """Return its batches."""
        setting, begun = current
        with begun.get_lock():
            begun.value += 1
        data = TensorDataset(setting.x[self.uid], setting.y[self.uid])
        return DataLoader(data, batch_size, shuffle=shuffle)

    def get_testset(self) -> None:
        """Return nothing: nothing is scored."""


def work(setting: Setting, clock: Clock) -> list[Tensor]:
    """Train all devices, for one round more than is measured."""
    from . import decentralizepy as own  # the module that the nodes import by its name

    fork = multiprocessing.get_context("fork")
    own.current = setting, fork.Value("i", 0)
    with tempfile.TemporaryDirectory() as folder:
        arguments = [Linear(1, setting.devices), _graph(setting), _config(setting, Path(folder))]
        arguments += [setting.rounds + 1, folder, folder, logging.ERROR, 10**6, 10**6, 1]
        nodes = [
            fork.Process(target=DPSGDNode, args=[device, 0, *arguments])
            for device in range(setting.devices)
        ]
        for node in nodes:
            node.start()
        for number in range(1, setting.rounds + 1):
            while own.current[1].value < setting.devices * (number + 1):
                _check(nodes)
                time.sleep(LOOK_SECONDS)
            clock.tick()
        for node in nodes:
            node.join()
        weights = torch.load(Path(folder, f"{setting.rounds}_weight_0.pt"), weights_only=True)
    return list(weights.values())


def _check(nodes: list[Any]) -> None:
    ended = [device for device, node in enumerate(nodes) if node.exitcode]
    if ended:
        raise RuntimeError(f"device {ended[0]}'s process ended with {nodes[ended[0]].exitcode}")


def _graph(setting: Setting) -> Any:
    graph = Graph(setting.devices)
    for device in range(setting.devices):
        graph.adj_list[device] = set(setting.neighbors(device))
    return graph


def _config(setting: Setting, folder: Path) -> dict[str, dict[str, Any]]:
    addresses = folder / "addresses.json"
    addresses.write_text(json.dumps({"0": "127.0.0.1"}), encoding="utf-8")
    optimizer = {"optimizer_package": "torch.optim", "optimizer_class": "SGD"}
    training = {
        "training_package": "decentralizepy.training.Training",
        "training_class": "Training",
    }
    return {
        "DATASET": {
            "dataset_package": HERE,
            "dataset_class": "Share",
            "model_class": "Perceptron",
        },
        "OPTIMIZER_PARAMS": {**optimizer, "lr": setting.rate, "momentum": setting.momentum},
        "TRAIN_PARAMS": {
            **training,
            "rounds": setting.epochs,
            "full_epochs": True,
            "batch_size": setting.batch,
            "shuffle": True,
            "loss_package": "torch.nn",
            "loss_class": "CrossEntropyLoss",
        },
        "COMMUNICATION": {
            "comm_package": "decentralizepy.communication.TCP",
            "comm_class": "TCP",
            "addresses_filepath": str(addresses),
        },
        "SHARING": {
            "sharing_package": "decentralizepy.sharing.Sharing",
            "sharing_class": "Sharing",
        },
    }


if __name__ == "__main__":
    main(work)
