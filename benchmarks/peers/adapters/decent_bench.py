"""decent-bench: a peer-to-peer algorithm of its kind, whose step is a round of local SGD."""

from __future__ import annotations

from typing import Any

import networkx as nx
import torch
from decent_array import Array
from decent_array.types import Devices, Frameworks
from decent_bench import benchmark
from decent_bench.agents import Agent
from decent_bench.algorithms.p2p import P2PAlgorithm
from decent_bench.algorithms.utils import initial_states, pytorch_initialization
from decent_bench.costs import PyTorchCost
from decent_bench.networks import P2PNetwork
from torch import Tensor, nn

from ..clock import Clock, main
from ..setting import Setting, perceptron


class LocalSGD(P2PAlgorithm):  # type: ignore[misc]
    """Steps of PyTorch's SGD on each agent, and the weighted mean of its neighborhood."""

    name = "local SGD"

    def __init__(self, steps: int, start: Any) -> None:
        self.steps, self.start = steps, start

    def initialize(self, network: Any) -> None:
        """Give every agent the start."""
        for agent, x in initial_states(self.start, network).items():
            agent.initialize(x=x)

    def step(self, network: Any, iteration: int) -> None:
        """Train, send and average."""
        weights = network.weights
        for agent in network.active_agents():
            cost = agent.cost
            agent.x = Array(cost.local_training(agent.x.value, self.steps, agent, None))
        for agent in network.active_agents():
            network.broadcast(agent, agent.x)
        for agent in network.active_agents():
            mean = weights[agent, agent] * agent.x
            for other, x in agent.messages().items():
                mean = mean + weights[agent, other] * x
            agent.x = mean


def work(setting: Setting, clock: Clock) -> list[Tensor]:
    """Train all devices."""
    benchmark.configure(Frameworks.PYTORCH, Devices.CPU)
    agents = []
    for x, y in zip(setting.x, setting.y, strict=True):
        data = list(zip(x, y, strict=True))
        cost = PyTorchCost(data, perceptron(), nn.CrossEntropyLoss(), batch_size=setting.batch)
        cost.init_local_training(
            torch.optim.SGD, {"lr": setting.rate, "momentum": setting.momentum}
        )
        agents.append(Agent(cost, state_snapshot_period=setting.rounds + 1))
    graph = nx.empty_graph(setting.devices)
    graph.add_edges_from(setting.edges.tolist())
    network = P2PNetwork(graph, agents)
    algorithm = LocalSGD(setting.steps, pytorch_initialization(network, all_same=True))
    algorithm.run(network, setting.rounds, progress_callback=lambda _: clock.tick())
    return _cut(agents[0].x.value)


def _cut(flat: Tensor) -> list[Tensor]:
    sizes = [own.numel() for own in perceptron().parameters()]
    return list(torch.split(flat, sizes))


if __name__ == "__main__":
    main(work)
