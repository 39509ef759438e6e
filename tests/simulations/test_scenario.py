from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from p2pl_flower.errors import ConfigError, WeightsError
from simulations.scenario import FOLDER, Scenario

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda p: p.stem)
def test_shipped_scenarios_are_valid(path: Path) -> None:
    scenario = Scenario.load(str(path))
    assert Scenario.of(scenario.keys()) == scenario


def test_a_scenario_is_found_by_name_and_changed_by_key() -> None:
    scenario = Scenario.load("demo", {"num-devices": 50, "learning-rate": 1})
    assert scenario.num_devices == 50
    assert scenario.training.learning_rate == 1.0
    assert scenario.dataset == "digits"


def test_mnist_is_the_papers_setting() -> None:
    scenario = Scenario.load("mnist")
    assert (scenario.num_devices, scenario.topology) == (100, "erdos-renyi:p=0.1")
    training = scenario.training
    assert (training.learning_rate, training.momentum, training.batch_size) == (0.05, 0.5, 10)


def test_flwr_run_knows_the_same_keys() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    config = project["tool"]["flwr"]["app"]["config"]
    keys = Scenario.of().keys()
    assert config.keys() - {"strategy"} == keys.keys() - {"contenders"}
    assert all(type(config[k]) is type(keys[k]) for k in config.keys() - {"strategy"})
    scenario = Scenario.of_run(config)
    assert [c.name for c in scenario.named_contenders()] == ["p2pl"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"colour": "red"}, "colour='red': unknown key; choose one of: algorithm, attack,"),
        ({"dataset": "imagenet"}, "choose one of: cifar10, digits, fashion-mnist, mnist"),
        ({"model": "cnn"}, "does not fit digits with 8x8"),
        ({"topology": "erdos-renyi:p=0"}, "topology='erdos-renyi:p=0': p=0.0: must be in (0, 1]"),
        ({"topology": "regular:d=3", "num-devices": 9}, "n * d must be even"),
        ({"topology": "erdos-renyi:q=1"}, "unknown parameter 'q'"),
        ({"weights": "equal"}, "choose one of: data-size, metropolis, out-degree, uniform"),
        ({"weights": "file:nowhere.csv"}, "weights='file:nowhere.csv': must name a file"),
        ({"links": "bernoulli"}, "needs up, as in 'bernoulli:up=...'"),
        ({"partition": "shards:0"}, "partition='shards:0'"),
        ({"shared": ""}, "shared='': must hold a glob on array names"),
        ({"init": "zeros"}, "choose one of: max-norm, bounded-norm, seed, shared"),
        ({"contenders": "p2pl,fedsgd"}, "contenders='fedsgd'"),
        ({"contenders": ","}, "must name at least one"),
        ({"rounds": 0}, "rounds=0: must be at least 1"),
        ({"rounds": 2.5}, "rounds=2.5: must be an integer of at least 1"),
        ({"rounds": True}, "rounds=True: must be an integer of at least 1"),
        ({"batch-size": 0}, "batch-size=0"),
        ({"momentum": 1.0}, "momentum=1.0"),
        ({"torch-device": "tpu"}, "choose one of: cpu, cuda"),
        ({"consensus-gamma": 0.0}, "consensus-gamma=0.0: must be in (0, 1]"),
        ({"consensus-steps": -1}, "consensus-steps=-1"),
    ],
)
def test_bad_keys_and_values_are_named(changes, words) -> None:
    with pytest.raises(ConfigError) as caught:
        Scenario.load("demo", changes)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([[0.5, 0.6], [0.5, 0.5]], "row 0 sums to 1.1"),
        ([[1, 0, 0], [0, 1, 0], [0, 0, 1]], "2"),
        ([[1.5, -0.5], [0.5, 0.5]], "non-negative"),
    ],
)
def test_a_bad_matrix_is_refused(tmp_path: Path, rows, words) -> None:
    path = tmp_path / "weights.csv"
    np.savetxt(path, rows, delimiter=",")
    with pytest.raises(WeightsError, match="weights='file:") as caught:
        Scenario.of({"weights": f"file:{path}", "num-devices": 2, "topology": "complete"})
    assert words in str(caught.value)


def test_a_matrix_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "weights.csv"
    path.write_text("0.75,0.25\n0.5,0.5\n")
    scenario = Scenario.of({"weights": f"file:{path}", "num-devices": 2, "topology": "complete"})
    assert scenario.options.matrix.tolist() == [[0.75, 0.25], [0.5, 0.5]]


def test_a_file_that_is_not_toml(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("rounds = = 3")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        Scenario.load(str(path))
    with pytest.raises(ConfigError, match="demo"):
        Scenario.load("no-such-scenario")


def test_metrics_that_do_not_suit_classes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"metrics='mse': does not suit outputs of shape"):
        Scenario.of({"metrics": "top-k:k=3+mse"})
    with pytest.raises(ConfigError, match=r"metrics='nowhere\.f1': cannot be imported"):
        Scenario.of({"metrics": "nowhere.f1"})
    assert Scenario.of({"metrics": "own_things.share_of_zeros+perplexity"}).metrics
