"""Several consensus steps as one product: the same numbers, and only where it is quicker."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from p2pl_flower import Options
from p2pl_flower.links import Bernoulli, Churn
from p2pl_flower.swarm.mixing import folded
from p2pl_flower.swarm.plans import Gossip
from p2pl_flower.topology import schedule

DEVICES = 12


def steps_of(topology="erdos-renyi:p=0.5", **options):
    graphs = schedule(topology, DEVICES, seed=1)
    plan = Gossip(graphs, Options(**options), np.arange(1, DEVICES + 1))
    plan.trains(1)
    return list(plan.mixings(1))


@pytest.mark.parametrize("weights", ["metropolis", "data-size"])
@pytest.mark.parametrize("links", [None, Bernoulli(0.5, 3), Churn(0.3, 4.0, 3)])
def test_one_product_does_what_all_steps_do(weights, links) -> None:
    lossy = {} if links is None else {"links": links}
    steps = steps_of(consensus_steps=5, weights=weights, **lossy)
    torch.manual_seed(0)
    one = {"w": torch.randn(DEVICES, 7, 3)}
    other = {"w": one["w"].clone()}
    for step in steps:
        step.apply(one)
    [product] = folded(steps, width=1000)
    product.apply(other)
    torch.testing.assert_close(one, other)
    assert product.sent.tolist() == sum(step.sent for step in steps).tolist()
    np.testing.assert_allclose(product.dense().sum(1), 1)


def test_small_models_and_single_steps_are_left_alone() -> None:
    several = steps_of(consensus_steps=5)
    assert folded(several, width=2) == several
    [only] = steps_of(consensus_steps=1)
    assert folded([only], width=1000) == [only]


def test_few_sparse_steps_stay_sparse(monkeypatch) -> None:
    steps = steps_of("ring", consensus_steps=3)
    monkeypatch.setattr("p2pl_flower.swarm.mixing.DENSE_FROM", 1.0)
    assert sum(step.cost for step in steps) < 1
    assert folded(steps, width=10**6) == steps
