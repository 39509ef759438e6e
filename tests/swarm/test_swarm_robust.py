"""Robust rules on all messages at once give what they give device by device."""

from __future__ import annotations

from dataclasses import dataclass

import networkx as nx
import numpy as np
import pytest
import torch

from p2pl_flower.algorithms.mixing import MIXINGS, Median
from p2pl_flower.swarm.edges import Edges
from p2pl_flower.swarm.mixing import Mixing
from p2pl_flower.swarm.robust import combined

COUNT = 12
RULES = [
    "trimmed-mean",
    "trimmed-mean:share=0.4",
    "median",
    "krum",
    "krum:share=0.45",
    "clipped-gossip",
    "clipped-gossip:radius=0.7",
]


def step(graph: nx.Graph, gamma: float = 0.8, away: tuple[int, ...] = ()) -> Mixing:
    edges = Edges.of(graph)
    there = ~np.isin(np.arange(len(graph)), away)
    edges = edges.where(there[edges.to])
    rng = np.random.default_rng(1)
    weights = rng.uniform(0.5, 1, len(edges.to)) / (edges.degrees[edges.to] + 1)
    heard = there[edges.source]
    return Mixing.gossip(edges, np.where(heard, weights, 0.0), heard, there, gamma)


def messages(count: int, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    made = {
        "w": torch.randn(count, 3, 5, generator=draw),
        "b": torch.randn(count, generator=draw),
    }
    return {name: tensor.to(dtype) for name, tensor in made.items()}


def one_by_one(rule, sent, beside, mixing) -> dict[str, torch.Tensor]:
    every = {n: torch.cat([t, beside[n]]) if beside else t for n, t in sent.items()}
    every = {n: t.numpy() for n, t in every.items()}
    after = {name: tensor.clone() for name, tensor in sent.items()}
    for k in np.flatnonzero(mixing.active).tolist():
        row = mixing.row(k)
        received = {j: {n: np.asarray(a[j]) for n, a in every.items()} for j in row}
        own = {n: np.asarray(a[k]) for n, a in every.items()}
        for name, array in rule.combine(own, received, row, mixing.gamma).items():
            after[name][k] = torch.from_numpy(np.asarray(array))
    return after


def assert_same(rule, sent, beside, mixing, tolerance: float = 2e-6) -> None:
    before = {name: tensor.clone() for name, tensor in sent.items()}
    found = combined(rule, sent, beside, mixing)
    expected = one_by_one(rule, sent, beside, mixing)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        torch.testing.assert_close(
            found[name], tensor, rtol=tolerance, atol=tolerance, equal_nan=True
        )
        assert torch.equal(sent[name].nan_to_num(), before[name].nan_to_num())


@pytest.mark.parametrize("text", RULES)
@pytest.mark.parametrize("graph", [nx.path_graph(COUNT), nx.gnp_random_graph(COUNT, 0.6, seed=2)])
def test_the_same_numbers(text: str, graph: nx.Graph) -> None:
    rule = MIXINGS.make(text)
    assert_same(rule, messages(COUNT), {}, step(graph))
    assert_same(rule, messages(COUNT), {}, step(graph, 1.0, away=(0, 5, 6)))
    assert_same(rule, messages(COUNT, torch.float64), {}, step(graph), 1e-6)
    assert_same(rule, messages(COUNT, torch.float16), {}, step(graph), 2e-3)


@pytest.mark.parametrize("text", RULES)
def test_what_is_not_finite_is_left_out(text: str) -> None:
    sent = messages(COUNT)
    sent["w"][3, 1, 1], sent["b"][7] = torch.nan, torch.inf
    mixing = step(nx.gnp_random_graph(COUNT, 0.6, seed=2))
    healthy = [k for k in range(COUNT) if k not in (3, 7)]
    found = combined(MIXINGS.make(text), sent, {}, mixing)
    with np.errstate(invalid="ignore"):  # of the two that are ill themselves
        expected = one_by_one(MIXINGS.make(text), sent, {}, mixing)
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name][healthy], tensor[healthy], rtol=2e-6, atol=2e-6)
        assert found[name][healthy].isfinite().all()


@pytest.mark.parametrize("text", RULES)
def test_what_lies_beside_is_heard(text: str) -> None:
    everybody = step(nx.gnp_random_graph(COUNT, 0.6, seed=2))
    mixing, others = everybody.part(2, 7)
    sent = messages(COUNT)
    own = {name: tensor[2:9].clone() for name, tensor in sent.items()}
    beside = {name: tensor[torch.from_numpy(others)] for name, tensor in sent.items()}
    assert_same(MIXINGS.make(text), own, beside, mixing)
    whole = combined(MIXINGS.make(text), sent, {}, everybody)
    found = combined(MIXINGS.make(text), own, beside, mixing)
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, whole[name][2:9], rtol=2e-6, atol=2e-6)


def test_blocks_make_no_difference(monkeypatch) -> None:
    mixing = step(nx.gnp_random_graph(COUNT, 0.6, seed=2))
    sent = {"w": torch.randn(COUNT, 300, generator=torch.Generator().manual_seed(1))}
    whole = {text: combined(MIXINGS.make(text), sent, {}, mixing)["w"] for text in RULES}
    monkeypatch.setattr("p2pl_flower.swarm.robust._BLOCK", 64)
    monkeypatch.setattr("p2pl_flower.swarm.robust._TOGETHER", 1 << 10)
    for text, expected in whole.items():
        found = combined(MIXINGS.make(text), sent, {}, mixing)["w"]
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_rules_of_ones_own_mix_device_by_device() -> None:
    @dataclass(frozen=True)
    class Mine(Median):
        pass

    mixing = step(nx.path_graph(COUNT))
    assert combined(Mine(), messages(COUNT), {}, mixing) is None
    complex_ones = {"z": torch.zeros(COUNT, 2, dtype=torch.complex64)}
    assert combined(Median(), complex_ones, {}, mixing) is None


@pytest.mark.parametrize("text", ["krum", "clipped-gossip"])
def test_a_finite_message_whose_square_is_none_is_far_away(text: str) -> None:
    sent = messages(COUNT, torch.float64)
    sent["w"][3] = 1e200
    rule, mixing = MIXINGS.make(text), step(nx.complete_graph(COUNT))
    assert_same(rule, sent, {}, mixing, 1e-6)
    found = combined(rule, sent, {}, mixing)["w"]
    assert float(found[np.arange(COUNT) != 3].abs().max()) < 10
