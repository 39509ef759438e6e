"""A consensus step as a matrix product against the formula, device by device."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import torch
from torch import nn

from p2pl_flower import Options, named_arrays
from p2pl_flower.algorithms.averaging import weighted_sum
from p2pl_flower.algorithms.max_norm import Candidates
from p2pl_flower.swarm import mixing
from p2pl_flower.swarm.drawing import norms
from p2pl_flower.swarm.edges import Edges
from p2pl_flower.swarm.mixing import Mixing, consensus_distance
from p2pl_flower.swarm.plans import Gossip
from p2pl_flower.swarm.stack import Stack, as_arrays
from p2pl_flower.topology import Static, schedule


class Mixed(nn.Module):
    """Parameters in several precisions, a scalar, and an integer that stays at home."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.zeros(3, 2))
        self.b = nn.Parameter(torch.zeros((), dtype=torch.float64))
        self.low = nn.Parameter(torch.zeros(5, dtype=torch.float16))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))


def stack_of(devices: int) -> Stack:
    stack = Stack(Mixed(), devices)
    generator = torch.Generator().manual_seed(0)
    for tensor in stack.tensors.values():
        tensor.copy_(torch.randn(tensor.shape, generator=generator) * 3)
    return stack


def mixed_of(stack: Stack) -> dict[str, torch.Tensor]:
    return {name: stack.tensors[name] for name in stack.mixed}


@pytest.mark.parametrize("dense_from", [1e-3, 2.0], ids=["dense", "sparse"])
@pytest.mark.parametrize("gamma", [1.0, 0.4])
def test_a_step_is_the_formula(monkeypatch, dense_from, gamma) -> None:
    monkeypatch.setattr(mixing, "DENSE_FROM", dense_from)
    stack = stack_of(8)
    before = [as_arrays({n: t.clone() for n, t in stack.model(k).items()}) for k in range(8)]
    edges = Edges.of(schedule("erdos-renyi:p=0.4", 8, seed=3).graph(1))
    weights = np.random.default_rng(0).random(len(edges.to)) / 8
    heard = np.random.default_rng(1).random(len(edges.to)) < 0.7
    active = np.arange(8) != 5
    heard &= active[edges.to]
    kept = np.where(heard, weights, 0)
    step = Mixing.gossip(edges, kept, heard, active, gamma)
    assert step.is_dense is (dense_from < 1)
    step.apply(mixed_of(stack))
    for k in range(8):
        own = heard & (edges.to == k)
        row = dict(zip(edges.source[own].tolist(), kept[own].tolist(), strict=True))
        parts = [{name: one[name] for name in stack.mixed} for one in before]
        expected = weighted_sum(parts[k], {j: parts[j] for j in row}, row, gamma)
        for name, tensor in stack.model(k).items():
            if name not in stack.mixed:
                assert (tensor.numpy() == before[k][name]).all()
                continue
            tolerance = 1e-2 if name == "low" else 1e-5
            np.testing.assert_allclose(tensor.numpy(), expected[name], rtol=tolerance, atol=1e-5)
    assert step.sent.tolist() == np.bincount(edges.source[heard], minlength=8).tolist()


def test_blocks_of_columns_make_no_difference(monkeypatch) -> None:
    edges = Edges.of(nx.cycle_graph(6))
    heard = np.full(len(edges.to), True)
    step = Mixing.gossip(edges, np.full(len(edges.to), 0.3), heard, np.full(6, True), 1.0)
    one, two = (Stack(nn.Linear(9, 11), 6) for _ in range(2))
    for name, tensor in one.tensors.items():
        two.tensors[name].copy_(tensor.normal_())
    step.apply(mixed_of(one))
    blocks = mixing.column_blocks
    monkeypatch.setattr(mixing, "column_blocks", lambda flat, _: blocks(flat, 16))
    step.apply(mixed_of(two))
    for name, tensor in one.tensors.items():
        torch.testing.assert_close(tensor, two.tensors[name])


def test_one_row_gives_everybody_the_weighted_mean() -> None:
    stack = stack_of(4)
    before = stack.tensors["a"].clone()
    Mixing.average(np.array([0.5, 0.0, 0.25, 0.25])).apply(mixed_of(stack))
    mean = 0.5 * before[0] + 0.25 * before[2] + 0.25 * before[3]
    for k in range(4):
        torch.testing.assert_close(stack.tensors["a"][k], mean)
    assert consensus_distance(stack) == 0


@pytest.mark.parametrize("weights", ["metropolis", "uniform", "data-size"])
@pytest.mark.parametrize("gamma", [1.0, 0.7])
def test_a_complete_graph_is_one_mean_where_its_rows_are_equal(weights, gamma) -> None:
    options = Options(weights=weights, consensus_gamma=gamma)
    plan = Gossip(Static(nx.complete_graph(6)), options, np.arange(1, 7))
    plan.trains(1)
    [step] = plan.mixings(1)
    assert step.is_mean is (gamma == 1)
    stack = stack_of(6)
    before = stack.tensors["a"].clone()
    step.apply(mixed_of(stack))
    expected = torch.einsum("kj,jab->kab", torch.from_numpy(step.dense()).float(), before)
    torch.testing.assert_close(stack.tensors["a"], expected)
    assert step.sent.tolist() == [5] * 6


def test_the_distance_is_that_of_the_library() -> None:
    stack = stack_of(5)
    models = [as_arrays(stack.model(k)) for k in range(5)]
    assert consensus_distance(stack) == pytest.approx(named_arrays.consensus_distance(models))


def test_no_step_changes_nothing() -> None:
    stack = stack_of(3)
    before = stack.tensors["low"].clone()
    edges = Edges.of(nx.path_graph(3))
    none = np.zeros(len(edges.to), dtype=np.bool_)
    step = Mixing.gossip(edges, np.zeros(len(none)), none, np.full(3, True), 1.0)
    assert step.is_identity
    step.apply(mixed_of(stack))
    assert torch.equal(stack.tensors["low"], before)


@pytest.mark.parametrize("scope", ["model", "tensor"])
def test_norms_are_those_that_devices_claim(scope) -> None:
    stack = stack_of(4)
    claims = [Candidates.of(as_arrays(stack.model(k)), scope, k).norms for k in range(4)]
    np.testing.assert_allclose(norms(stack, scope), claims, rtol=1e-6)
