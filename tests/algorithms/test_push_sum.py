"""Push-sum: by hand, and on problems whose solution is known, where plain mixing drifts."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from stacked import DEVICES, Quadratic, rounds

from p2pl_flower import Options, topology
from p2pl_flower.algorithms import ALGORITHMS
from p2pl_flower.algorithms.push_sum import MASS, PushSum
from p2pl_flower.errors import ConfigError
from p2pl_flower.weights import OutDegree, Uniform, mixing_matrix

GRAPH = nx.DiGraph(topology.directed_ring(DEVICES))
GRAPH.add_edges_from((0, k) for k in range(1, DEVICES))  # all hear device 0
COLUMNS = mixing_matrix(GRAPH, OutDegree())
ROWS = mixing_matrix(GRAPH, Uniform())
PROBLEM = Quadratic()


def after(name: str, matrix: np.ndarray, count: int, rate: float, steps: int = 1) -> np.ndarray:
    """Return all models after some rounds; rate 0 is no training, from the devices' centers."""
    begin = PROBLEM.center if rate == 0 else np.zeros((DEVICES, 2))
    made = rounds(ALGORITHMS.make(name), matrix, PROBLEM.train(1, rate), begin, steps)
    return next(model for number, (_, model) in enumerate(made, 1) if number == count)


def test_weights_by_hand() -> None:
    # 0 -> 1, 0 -> 2, 1 -> 0, 2 -> 1: devices share themselves out in 3, 2 and 2 parts
    graph = nx.DiGraph([(0, 1), (0, 2), (1, 0), (2, 1)])
    half, third = 1 / 2, 1 / 3
    expected = [[third, half, 0], [third, half, half], [third, 0, half]]
    assert np.allclose(mixing_matrix(graph, OutDegree()), expected)


def test_by_hand() -> None:
    """Device 0 keeps 1/3 of itself and gives 2/3 to device 1, which gives it half."""
    columns, algorithm = np.array([[1 / 3, 1 / 2], [2 / 3, 1 / 2]]), PushSum()
    model = {"w": np.array([0.0, 6.0])}
    state = algorithm.start(model, (2,))
    begun, correction, state = algorithm.before_training(model, state)
    assert correction is None
    sent, state = algorithm.after_training({"w": begun["w"] + 3}, state)
    assert sent["w"].tolist() == [3, 9]
    assert sent[MASS].tolist() == [1, 1]
    mixed = {name: columns @ array for name, array in sent.items()}
    model, state = algorithm.after_mixing(mixed, mixed, state, 1.0)
    assert mixed["w"] == pytest.approx([1 + 4.5, 2 + 4.5])
    assert mixed[MASS] == pytest.approx([5 / 6, 7 / 6])
    assert model["w"] == pytest.approx([6.6, 39 / 7])
    _, _, state = algorithm.before_training(model, state)
    sent, state = algorithm.after_training({"w": model["w"] + 6}, state)
    assert sent["w"] == pytest.approx([5.5 + 6, 6.5 + 6])  # x moves as far as the model was trained


def test_single_precision_models_stay_so() -> None:
    algorithm, model = PushSum(), {"w": np.ones((2, 3), np.float16), "b": np.ones((), np.float16)}
    _, _, state = algorithm.before_training(model, algorithm.start(model, ()))
    sent, state = algorithm.after_training(model, state)
    after, _ = algorithm.after_mixing(sent, {**sent, MASS: np.float32(0.5)}, state, 1.0)
    assert {array.dtype for array in after.values()} == {np.dtype(np.float16)}
    assert after["w"].tolist() == [[2, 2, 2]] * 2


def test_all_agree_on_the_mean_where_plain_mixing_agrees_on_another() -> None:
    mean = PROBLEM.center.mean(0)
    assert np.abs(after("push-sum", COLUMNS, 200, rate=0) - mean).max() < 1e-6
    drifted = after("p2pl", ROWS, 200, rate=0)
    assert np.ptp(drifted, axis=0).max() < 1e-6
    assert np.abs(drifted - mean).max() > 0.3


@pytest.mark.parametrize("steps", [1, 3])
def test_training_leads_to_the_optimum_as_the_rate_falls(steps) -> None:
    def distance(name: str, matrix: np.ndarray, rate: float) -> float:
        models = after(name, matrix, int(40 / rate), rate, steps)
        return float(np.linalg.norm(models - PROBLEM.optimum, axis=1).max())

    far, near = (distance("push-sum", COLUMNS, rate) for rate in (0.04, 0.01))
    assert near < 0.3 * far
    assert near < 0.1
    assert distance("p2pl", ROWS, 0.01) > 0.3  # of another mean, whatever the rate


def test_lost_shares_stay_with_their_senders() -> None:
    """Each step another column-stochastic matrix: masses sum to K, and the mean is reached."""
    rng, linked = np.random.default_rng(3), COLUMNS * (1 - np.eye(DEVICES))
    values, mass = PROBLEM.center.copy(), np.ones(DEVICES)
    for _ in range(400):
        got = linked * (rng.random(linked.shape) < 0.5)
        step = got + np.diag(1 - got.sum(0))
        values, mass = step @ values, step @ mass
        assert mass.sum() == pytest.approx(DEVICES)
    assert np.abs(values / mass[:, None] - PROBLEM.center.mean(0)).max() < 1e-6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"algorithm": "p2pl"}, "weights='out-degree': has rows that do not sum to 1, which alg"),
        ({"on_missing": "neighbors"}, "on_missing='neighbors': loses what weights='out-degree'"),
        ({"on_missing": "reweight"}, "take on_missing='self'"),
        ({"mixing": "median"}, "mixing='median': keeps no sums"),
        ({"weights": "uniform"}, "symmetric or column-stochastic weights only"),
        ({"weights": "metropolis", "links": "bernoulli:up=0.5,one-way=true"}, "loses messages one"),
    ],
)
def test_refused(options, message) -> None:
    good = {"algorithm": "push-sum", "weights": "out-degree"}
    assert Options(**good, links="bernoulli:up=0.5,one-way=true").tells_heard
    with pytest.raises(ConfigError) as caught:
        Options(**{**good, **options})
    assert message in str(caught.value)
