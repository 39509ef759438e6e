"""Graphs on which LED would diverge: where the line is, and that both engines draw it."""

from __future__ import annotations

import re
from itertools import islice

import networkx as nx
import numpy as np
import pytest
from flwr.app import ArrayRecord
from local_grid import LocalGrid

from p2pl_flower import P2PL, MemoryRelay, Options, PeerApp
from p2pl_flower.algorithms import ALGORITHMS
from p2pl_flower.errors import TopologyError
from p2pl_flower.options import check_spectrum
from p2pl_flower.options.spectrum import least_eigenvalue
from p2pl_flower.swarm.plans import Gossip
from p2pl_flower.topology import schedule
from p2pl_flower.weights import Metropolis, mixing_matrix

GRAPHS = ["torus", "regular:d=4", "ring", "complete", "star", "random-geometric:radius=0.4"]


@pytest.mark.parametrize("topology", GRAPHS)
def test_the_least_eigenvalue(topology) -> None:
    graph = schedule(topology, 36, 0).graph(1)
    exact = np.linalg.eigvalsh(mixing_matrix(graph, Metropolis()))[0]
    assert least_eigenvalue(graph, Metropolis()) == pytest.approx(exact, abs=2e-3)


def test_of_one_device_alone() -> None:
    assert least_eigenvalue(nx.empty_graph(1), Metropolis()) == 1


def largest(algorithm: str, matrix: np.ndarray) -> float:
    """Return how large models get in 400 rounds of training that leaves them as they are."""
    made = ALGORITHMS.make(algorithm)
    model = {"w": np.random.default_rng(0).normal(size=len(matrix))}
    state = made.start(model, (len(matrix),))

    def play():
        nonlocal model, state
        while True:
            begun, correction, state = made.before_training(model, state)
            message, state = made.after_training({"w": begun["w"] + correction["w"]}, state)
            mixed = {"w": matrix @ message["w"]}
            model, state = made.after_mixing(message, mixed, state, 1.0)
            yield float(np.abs(model["w"]).max())

    return next(islice(play(), 400, None))


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_the_bound_is_where_led_diverges(strength) -> None:
    algorithm = f"led:strength={strength}"
    bound = ALGORITHMS.make(algorithm).least_eigenvalue
    for least, stable in ((bound + 0.03, True), (bound - 0.03, False)):
        matrix = np.array([[1 + least, 1 - least], [1 - least, 1 + least]]) / 2
        assert (largest(algorithm, matrix) < 10) == stable


@pytest.mark.parametrize(
    "changes",
    [
        {"consensus_steps": 2},
        {"consensus_gamma": 0.8},
        {"algorithm": "led:strength=0.4"},
        {"algorithm": "k-gt"},
    ],
)
def test_what_is_taken_on_a_torus(changes) -> None:
    check_spectrum(Options(**{"algorithm": "led", **changes}), schedule("torus", 16).graph(1))


@pytest.mark.parametrize("steps", [1, 3])
def test_what_the_error_advises_is_taken(steps) -> None:
    graph = schedule("torus", 36).graph(1)
    with pytest.raises(TopologyError, match=r"least eigenvalue .* is -0") as caught:
        check_spectrum(Options("led", consensus_steps=1), graph)
    [gamma] = re.findall(r"consensus_gamma=([\d.]+)", str(caught.value))
    check_spectrum(Options("led", consensus_steps=steps, consensus_gamma=float(gamma)), graph)


def test_refused_in_every_engine_that_knows_the_graph() -> None:
    graph, options = schedule("torus", 16), Options("led")
    with pytest.raises(TopologyError, match="diverges here"):
        Gossip(graph, options, np.ones(16))
    grid = LocalGrid(PeerApp(relay=MemoryRelay()), 16)
    with pytest.raises(TopologyError, match="diverges here"):
        P2PL("torus", algorithm="led", num_devices=16).start(grid, ArrayRecord(), 1)
