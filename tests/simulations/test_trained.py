"""Saved models load into the scenario's network, and score what the history says."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file

from p2pl_flower.history import History
from simulations.__main__ import main
from simulations.client_app import make_model, score
from simulations.scenario import Scenario
from simulations.trained import path_of

KEYS = {
    "contenders": "p2pl,slowmo:beta=0.3,fedavg,centralized",
    "num-devices": 4,
    "topology": "complete",  # all devices end with the mean
    "rounds": 2,
    "evaluate-every": 2,
}


@pytest.mark.parametrize("engine", ["swarm", pytest.param("flower", marks=pytest.mark.slow)])
def test_saved_models_score_what_the_history_says(engine: str, tmp_path: Path) -> None:
    settings = [part for k, v in KEYS.items() for part in ("--set", f"{k}={v}")]
    command = ["compare", "--engine", engine, *settings, "--out", str(tmp_path), "--save-models"]
    assert main(command) == 0
    scenario = Scenario.load("demo", KEYS)
    runs = History.load(tmp_path / "history.json").runs
    assert len(list((tmp_path / "models").iterdir())) == len(runs) == 4
    for run in runs:
        model = make_model(scenario, seed=9)
        model.load_state_dict(load_file(path_of(tmp_path / "models", run.contender)))
        scored = score(scenario, model)
        said = run.final().after_consensus
        assert scored["accuracy"] == pytest.approx(said.accuracy.mean, abs=3e-3)
        assert scored["loss"] == pytest.approx(said.loss.mean, rel=1e-3)


def test_names_of_contenders_make_files() -> None:
    assert path_of(Path("m"), "led:strength=0.5").name == "led-strength=0.5.safetensors"
