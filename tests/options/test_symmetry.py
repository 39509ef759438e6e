"""Algorithms that want symmetric weights, and what they are refused on."""

from __future__ import annotations

from dataclasses import dataclass

import networkx as nx
import numpy as np
import pytest

from p2pl_flower import P2PL, Options
from p2pl_flower.algorithms import ALGORITHMS
from p2pl_flower.errors import ConfigError, WeightsError
from p2pl_flower.flower import messages
from p2pl_flower.serverless.settings import Settings
from p2pl_flower.weights import WEIGHTS, WeightRule, mixing_matrix
from simulations.scenario import Scenario

WANTING = ["exact-diffusion", "gradient-tracking", "k-gt", "led"]
SYMMETRIC = [[0.5, 0.5, 0], [0.5, 0.25, 0.25], [0, 0.25, 0.75]]
ASYMMETRIC = [[0.5, 0.5, 0], [0.25, 0.5, 0.25], [0, 0.5, 0.5]]


@dataclass(frozen=True)
class Half(WeightRule):
    """Half of what Metropolis weights give."""

    symmetric = True

    def row(self, own, neighbors):
        return {j.id: 0.5 / (1 + max(own.degree, j.degree)) for j in neighbors}


def uneven(own, neighbors):
    """Give all neighbors 0.1."""
    return {j.id: 0.1 for j in neighbors}


def test_who_wants_symmetric_weights() -> None:
    wanting = [name for name in ALGORITHMS.entries if ALGORITHMS.make(name).symmetric_weights]
    assert sorted(wanting) == WANTING


@pytest.mark.parametrize("name", WANTING)
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weights": "data-size"}, "weights='data-size': may be asymmetric"),
        ({"weights": "uniform"}, "weights='uniform': may be asymmetric"),
        ({"weights": uneven}, "take weights='metropolis'"),
        ({"weights": ASYMMETRIC}, "[0, 1] is 0.5 and [1, 0] is 0.25"),
        ({"on_missing": "neighbors"}, "take on_missing='self'"),
    ],
)
def test_refused(name, changes, words) -> None:
    with pytest.raises(WeightsError) as caught:
        Options(algorithm=name, **changes)
    assert words in str(caught.value)
    assert f"algorithm='{name}" in str(caught.value)


@pytest.mark.parametrize("name", WANTING)
def test_weights_of_the_links_that_are_up_are_taken_over_lossy_links(name) -> None:
    assert Options(algorithm=name, links="bernoulli:up=0.1", on_missing="reweight").tells_heard


@pytest.mark.parametrize("weights", ["metropolis", SYMMETRIC, Half()])
@pytest.mark.parametrize("name", WANTING)
def test_taken_and_sent_to_devices(name, weights) -> None:
    options = Options(algorithm=name, weights=weights)
    config = messages.options_to_config(options)
    assert messages.options_from_config(config).algorithm == options.algorithm


@pytest.mark.parametrize("name", WANTING)
def test_links_that_lose_messages_one_way(name) -> None:
    links = "churn:away=0.1+bernoulli:up=0.5,one-way=true"
    with pytest.raises(WeightsError, match="loses messages one way"):
        Options(algorithm=name, links=links)
    assert Options(algorithm=name, links=links, on_missing="reweight")


@pytest.mark.parametrize("name", sorted({*ALGORITHMS.entries} - {*WANTING, "push-sum"}))
def test_others_take_any_weights(name) -> None:
    for weights in ("data-size", "uniform", uneven, ASYMMETRIC):
        assert Options(algorithm=name, weights=weights, on_missing="neighbors")


def test_refused_wherever_options_are_given() -> None:
    keys = {"algorithm": "led", "weights": "data-size"}
    peer = {"device": 0, "num-devices": 2, "listen": "127.0.0.1:9090", "insecure": True}
    peer |= {"app": "a:b", "rounds": 1, "neighbors": {"1": "127.0.0.1:9091"}}
    for make in (
        lambda: P2PL("ring", **keys),
        lambda: Scenario.of(keys),
        lambda: Settings.of({**peer, **keys}),
    ):
        with pytest.raises(ConfigError, match="symmetric"):
            make()


@pytest.mark.parametrize("name", sorted(WEIGHTS.entries))
def test_rules_that_say_so_are_symmetric_on_any_graph(name) -> None:
    rule = WEIGHTS.make(name)
    graph = nx.lollipop_graph(4, 3)
    samples = dict(enumerate(range(1, 8)))
    matrix = mixing_matrix(graph, rule, samples)
    assert np.allclose(matrix, matrix.T) == rule.symmetric
