"""Our swarm: `p2pl_flower.swarm.simulate`."""

from __future__ import annotations

import networkx as nx
from torch import Tensor

from p2pl_flower import Options
from p2pl_flower.swarm import Machine, simulate

from ..clock import Clock, main
from ..setting import Setting, perceptron


def work(setting: Setting, clock: Clock) -> list[Tensor]:
    """Train all devices."""
    graph = nx.empty_graph(setting.devices)
    graph.add_edges_from(setting.edges.tolist())
    result = simulate(
        perceptron,
        list(zip(setting.x, setting.y, strict=True)),
        graph,
        Options(),
        rounds=setting.rounds,
        batch_size=setting.batch,
        local_epochs=setting.epochs,
        learning_rate=setting.rate,
        momentum=setting.momentum,
        machine=Machine(keep_memory=True),
        on_round=lambda _: clock.tick(),
        progress=False,
    )
    return list(result.state_dict(0).values())


if __name__ == "__main__":
    main(work)
