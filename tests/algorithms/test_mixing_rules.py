"""Mixing rules against values worked out by hand, and against neighbors that lie."""

from __future__ import annotations

import math

import networkx as nx
import numpy as np
import pytest
import torch
from test_device import make_peers
from torch import nn

from p2pl_flower import Options
from p2pl_flower.algorithms.mixing import (
    MIXINGS,
    ClippedGossip,
    Krum,
    Median,
    MixingRule,
    TrimmedMean,
    Weighted,
)
from p2pl_flower.algorithms.p2pl import P2PL
from p2pl_flower.config import text_of
from p2pl_flower.errors import ConfigError, LayoutError
from p2pl_flower.relay.contents import Holding
from p2pl_flower.swarm.edges import Edges
from p2pl_flower.swarm.hooks import Hooks
from p2pl_flower.swarm.mixing import Mixing
from p2pl_flower.swarm.stack import Stack
from p2pl_flower.topology.neighborhood import neighborhood
from p2pl_flower.weights import Metropolis, row_of

OWN = {"a": np.array([0.0, 0.0]), "b": np.array(0.0)}
ROBUST = ["clipped-gossip", "trimmed-mean", "median", "krum"]


def message(*values: float) -> dict[str, np.ndarray]:
    return {"a": np.array(values[:2], float), "b": np.array(values[2], float)}


def values(mixed) -> list[float]:
    return [*mixed["a"].tolist(), float(mixed["b"])]


def test_clipping_keeps_directions_and_limits_lengths() -> None:
    received = {1: message(3, 4, 12), 2: message(0.6, 0, 0.8)}  # at distances 13 and 1
    row = {1: 0.25, 2: 0.5}
    mixed = ClippedGossip(radius=2.0).combine(OWN, received, row, 0.8)
    far, near = 0.8 * 0.25 * 2 / 13, 0.8 * 0.5
    expected = [3 * far + 0.6 * near, 4 * far, 12 * far + 0.8 * near]
    assert values(mixed) == pytest.approx(expected)


def test_the_adaptive_radius_leaves_a_share_beyond_it() -> None:
    received = {j: message(float(j), 0, 0) for j in (1, 2, 3, 4, 100)}
    row = dict.fromkeys(received, 0.1)
    mixed = ClippedGossip(share=0.2).combine(OWN, received, row, 1.0)
    assert values(mixed) == pytest.approx([0.1 * (1 + 2 + 3 + 4 + 4), 0, 0])
    everybody = ClippedGossip(share=0.0).combine(OWN, received, row, 1.0)
    assert values(everybody) == pytest.approx([0.1 * 110, 0, 0])


def test_the_trimmed_mean_leaves_out_both_ends_of_each_number() -> None:
    rows = [(1, -9, 5), (2, 1, 6), (90, 2, 7), (3, 3, 8)]
    received = {j: message(*row) for j, row in enumerate(rows)}
    mixed = TrimmedMean(share=0.2).combine(OWN, received, dict.fromkeys(received, 0.2), 0.5)
    assert values(mixed) == pytest.approx([0.5 * 2, 0.5 * 1, 0.5 * 6])


def test_the_median_of_an_even_number_is_between_two() -> None:
    received = {1: message(1, 5, 3), 2: message(2, 7, -4), 3: message(90, 1, 1)}
    mixed = Median().combine(OWN, received, dict.fromkeys(received, 0.2), 1.0)
    assert values(mixed) == pytest.approx([1.5, 3, 0.5])


def test_krum_takes_the_message_in_the_densest_place() -> None:
    rows = [(5, 5, 5), (5.1, 5, 5), (5, 5.2, 5), (99, 0, 0)]
    received = {j: message(*row) for j, row in enumerate(rows)}
    mixed = Krum(share=0.2).combine(OWN, received, dict.fromkeys(received, 0.2), 1.0)
    assert values(mixed) == pytest.approx([5, 5, 5])


@pytest.mark.parametrize("name", ROBUST)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_messages_that_are_not_finite_are_left_out(name: str, bad: float) -> None:
    rule = MIXINGS.make(name)
    honest = {j: message(1, 2, 3) for j in (1, 2, 3)}
    row = dict.fromkeys([*honest, 9], 0.2)
    mixed = rule.combine(OWN, {**honest, 9: message(0, bad, 0)}, row, 1.0)
    assert values(mixed) == values(rule.combine(OWN, honest, row, 1.0))


@pytest.mark.parametrize("name", ROBUST)
def test_nobody_answering_changes_nothing_and_types_stay(name: str) -> None:
    rule, own = MIXINGS.make(name), {"w": np.array([1.5, -2], np.float16)}
    alone = rule.combine(own, {}, {}, 1.0)
    assert alone["w"].tolist() == own["w"].tolist()
    mixed = rule.combine(own, {1: {"w": np.array([9, 9], np.float16)}}, {1: 0.5}, 1.0)
    assert mixed["w"].dtype == np.float16
    assert own["w"].tolist() == [1.5, -2]
    with pytest.raises(LayoutError, match="device 1"):
        rule.combine(own, {1: {"w": np.zeros(3, np.float16)}}, {1: 0.5}, 1.0)


def test_complex_arrays_can_be_clipped_but_not_sorted() -> None:
    own, received = {"z": np.array([0j])}, {1: {"z": np.array([3 + 4j])}}
    clipped = ClippedGossip(radius=1.0).combine(own, received, {1: 0.5}, 1.0)
    np.testing.assert_allclose(clipped["z"], [0.5 * (0.6 + 0.8j)])
    with pytest.raises(LayoutError, match="complex numbers have no order"):
        Median().combine(own, received, {1: 0.5}, 1.0)


def spread(rule: MixingRule, hostile: int, steps: int = 60) -> tuple[float, float]:
    """Average 20 devices' numbers with liars among them; return honest error and spread."""
    graph = nx.random_regular_graph(10, 20, seed=2)
    rng = np.random.default_rng(0)
    state = {k: {"w": rng.normal(size=4)} for k in graph}
    liars = set(range(hostile))
    honest = [k for k in graph if k not in liars]
    mean = np.mean([state[k]["w"] for k in honest], axis=0)
    for _ in range(steps):
        shown = {k: {"w": -50 * state[k]["w"] - 7} if k in liars else state[k] for k in graph}
        after = {}
        for k in honest:
            row = row_of(Metropolis(), *neighborhood(graph, k))
            after[k] = rule.combine(state[k], {j: shown[j] for j in row}, row, 1.0)
        state |= after
    found = np.array([state[k]["w"] for k in honest])
    return float(np.abs(found.mean(0) - mean).max()), float(np.ptp(found, axis=0).max())


@pytest.mark.parametrize("name", ["clipped-gossip", "trimmed-mean", "median"])
def test_a_few_liars_move_plain_mixing_anywhere_and_robust_rules_little(name: str) -> None:
    assert spread(MIXINGS.make("weighted"), hostile=2)[0] > 20
    error, apart = spread(MIXINGS.make(name), hostile=2)
    assert error < 1.5
    assert apart < 1.5


def test_options_take_rules_and_send_them_to_devices() -> None:
    for name in ("weighted", *ROBUST, "trimmed-mean:share=0.3"):
        options = Options(mixing=name)
        assert Options.from_config(options.to_config()).mixing == options.mixing
    assert text_of(Options(mixing=Krum(0.1)).mixing, MIXINGS) == "krum:share=0.1"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("trimmed-mean:share=0.5", r"share=0.5: must be .*\[0, 0.5\)"),
        ("clipped-gossip:radius=-1", r"radius=-1.0: must be .*\[0, inf\)"),
        ("mean", "mixing='mean': unknown name"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        Options(mixing=text)


@pytest.mark.parametrize("algorithm", ["led", "exact-diffusion", "k-gt", "gradient-tracking"])
def test_algorithms_that_rest_on_symmetric_sums_refuse_robust_rules(algorithm: str) -> None:
    with pytest.raises(ConfigError, match=f"mixing='median': cannot be used with .*{algorithm}"):
        Options(algorithm=algorithm, mixing="median")
    assert Options(algorithm="slowmo", mixing="median").mixing == Median()


class Largest(Weighted):
    """Takes the largest of each number, whatever the weights."""

    def combine(self, own, received, row, gamma):
        return {
            n: np.maximum.reduce([a, *(m[n] for m in received.values())]) for n, a in own.items()
        }


def test_a_rule_that_is_made_of_the_weighted_one_has_its_own_say_everywhere() -> None:
    _, peers = make_peers(nx.complete_graph(3), mixing=Largest())
    for peer in peers:
        model = {"w": np.array([-1.0, 1.0]) * peer.me.id}
        peer.start(model)
        peer.publish(1, 0, Holding(model, model, {}))
    assert [p.mix(1, 1).holding.model["w"].tolist() for p in peers] == [[0, 2]] * 3

    stack = Stack(nn.Linear(1, 1), 3)
    for device in range(3):
        stack.put(device, {"weight": torch.full((1, 1), device), "bias": torch.tensor([-device])})
    hooks = Hooks(P2PL(), stack, Largest())
    for mixing in hooks.steps([step(nx.complete_graph(3))]):
        hooks.mix(mixing)
    assert stack.tensors["weight"].flatten().tolist() == [2, 2, 2]
    assert stack.tensors["bias"].flatten().tolist() == [0, 0, 0]
    with pytest.raises(ConfigError, match="cannot be used with algorithm='led"):
        Options(algorithm="led", mixing=Largest())


def step(graph: nx.Graph) -> Mixing:
    edges = Edges.of(graph)
    weights = np.full(len(edges.to), 1 / len(graph))
    everybody = np.full(len(edges.to), True)
    return Mixing.gossip(edges, weights, everybody, np.full(len(graph), True), 1.0)
