from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pl_flower import errors
from p2pl_flower.algorithms.p2pl import P2PL
from p2pl_flower.flower import messages
from p2pl_flower.links import Perfect
from p2pl_flower.options import Options
from p2pl_flower.topology.neighborhood import Neighbor
from p2pl_flower.weights import Metropolis


def test_defaults_are_plain_p2pl() -> None:
    options = Options()
    assert (options.weights, options.matrix, options.links) == (Metropolis(), None, Perfect())
    assert (options.consensus_steps, options.consensus_gamma) == (1, 1.0)
    assert (options.algorithm, options.init) == (P2PL(), "max-norm")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"weights": "data-size", "consensus_steps": 3, "consensus_gamma": 0.25, "seed": 9},
        {
            "links": "bernoulli:up=0.5+churn:away=0.1",
            "on_missing": "neighbors",
            "algorithm": "slowmo:beta=0.25",
        },
        {"links": "gilbert-elliott:up=0.7,burst=4", "init": "shared", "max_norm_scope": "tensor"},
        {"weights": np.eye(3)},
        {"shared": ["conv?.*", "!*.bias"]},
    ],
)
def test_options_travel_to_devices_as_flat_values(changes) -> None:
    options = Options(**changes)
    config = messages.options_to_config(options)
    assert all(isinstance(value, str | int | float) for value in config.values())
    arrived = messages.options_from_config({**config, "neighbor-id": [1], "id": 0})
    assert arrived.links == options.links
    assert arrived.weights == options.weights
    assert arrived.shared == options.shared
    assert arrived.to_config() == options.to_config()
    assert arrived.matrix is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"consensus_gamma": 0}, "consensus-gamma=0: must be in (0, 1]"),
        ({"consensus_steps": 1.5}, "consensus-steps=1.5: must be an integer"),
        ({"algorithm": "p2pl-affinity:strength=-1"}, "algorithm='p2pl-affinity:strength=-1'"),
        (
            {"algorithm": "p2p"},
            "choose one of: choco, dsgd, eigenvector-correction, exact-diffusion",
        ),
        ({"seed": -1}, "seed=-1"),
        (
            {"codec": "int8", "algorithm": "push-sum", "weights": "out-degree"},
            "codec='int8:block=256': cannot be used with algorithm='push-sum'",
        ),
        ({"codec": "zip"}, "codec='zip': unknown name; choose one of: bfloat16"),
        ({"codec": "int8", "codec_memory": "all"}, "choose one of: none, error-feedback"),
        ({"init": "same"}, "init='same': unknown name; choose one of: max-norm"),
        ({"max_norm_scope": "layer"}, "choose one of: model, tensor"),
        ({"on_missing": "drop"}, "choose one of: self, neighbors"),
        ({"weights": [[1, 0], [0, 2]]}, "row 1"),
        ({"weights": "custom:1"}, "weights='custom:1'"),
        ({"shared": " ,"}, "shared=' ,': must hold a glob on array names"),
    ],
)
def test_bad_options(changes, words) -> None:
    with pytest.raises(errors.ConfigError) as caught:
        Options(**changes)
    assert words in str(caught.value)


ids = st.lists(st.integers(0, 10**6), unique=True, max_size=8).map(sorted)


@given(ids, st.booleans(), st.booleans(), st.data())
@settings(max_examples=50, deadline=None)
def test_neighbor_lists_travel(neighbor_ids, addressed, weighted, data) -> None:
    weights = st.floats(0, 1) if weighted else st.none()
    neighbors = tuple(
        Neighbor(
            i,
            data.draw(st.integers(1, 50)),
            data.draw(st.integers(0, 500)),
            f"host{i}:9000" if addressed else "",
            data.draw(weights),
        )
        for i in neighbor_ids
    )
    me = Neighbor(7, len(neighbors), 20)
    config = messages.neighbors_to_config(me, neighbors)
    assert all(value != [] for value in config.values())  # flwr cannot carry empty lists
    assert messages.neighbors_from_config(config) == (me, neighbors)


def test_zero_weights_travel_too() -> None:
    neighbors = (Neighbor(1, 1, weight=0.0), Neighbor(2, 1, weight=0.0))
    config = messages.neighbors_to_config(Neighbor(0, 2), neighbors)
    assert messages.neighbors_from_config(config)[1] == neighbors


def test_models_travel_as_records_in_order() -> None:
    model = {"b": np.ones((2, 1), np.float32), "a": np.array(3), "c": np.zeros(0)}
    there_and_back = messages.to_model(messages.to_arrays(model))
    assert list(there_and_back) == ["b", "a", "c"]
    assert all(np.array_equal(there_and_back[k], v) for k, v in model.items())
    assert messages.layout_digest(model) != messages.layout_digest({**model, "c": np.zeros(1)})
    assert messages.layout_digest(model) == messages.layout_digest({**model, "a": np.array(5)})


def test_models_in_records_are_looked_at_where_they_lie() -> None:
    model = {"rows": np.arange(6.0).reshape(2, 3), "columns": np.arange(6.0).reshape(2, 3).T}
    record = messages.to_arrays(model)
    for name, array in messages.to_model(record).items():
        assert np.array_equal(array, model[name])
        assert np.shares_memory(array, np.frombuffer(record[name].data, np.uint8))


@pytest.mark.parametrize("kind", [errors.ConfigError, errors.TopologyError, errors.WeightsError])
def test_errors_survive_a_process_border(kind) -> None:
    error = kind("rounds", 0, "must be at least 1", ["1", "2"])
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == str(error) == "rounds=0: must be at least 1; choose one of: 1, 2"


def test_the_tree_of_errors() -> None:
    for name in ("ConfigError", "LayoutError", "RelayError", "DeviceError"):
        assert issubclass(getattr(errors, name), errors.P2PLError)
    assert issubclass(errors.TopologyError, errors.ConfigError)
    assert issubclass(errors.ConfigError, ValueError)
