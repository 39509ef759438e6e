"""What peers without a server write loads into the scenario's network, and scores as said."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import pytest
from devices import history, run_here, settings

from p2pl_flower.cli import main

load_file = pytest.importorskip("safetensors.torch").load_file
scoring = pytest.importorskip("simulations.client_app")

from simulations.scenario import Scenario  # noqa: E402

pytestmark = pytest.mark.slow

KEYS = {"dataset": "digits", "model": "mlp"}


def test_models_of_peers_score_what_their_histories_say(tmp_path: Path) -> None:
    app = "simulations.client_app:app"
    made = settings(nx.path_graph(3), tmp_path, rounds=2, app=app, run_config=KEYS)
    run_here(made)
    scenario = Scenario.load("demo", KEYS)
    model = scoring.make_model(scenario, seed=9)
    for device, values in made.items():
        state = Path(values["checkpoint"])
        exported = tmp_path / "exported.safetensors"
        assert main(["export", str(state), "--out", str(exported)]) == 0
        [run] = history(tmp_path, device).runs
        said = run.final().after_consensus
        for file in (state / "model.safetensors", exported):
            model.load_state_dict(load_file(file))
            scored = scoring.score(scenario, model)
            assert scored["accuracy"] == pytest.approx(said.accuracy.mean)
            assert scored["loss"] == pytest.approx(said.loss.mean)
    assert said.accuracy.mean > 0.3  # it has learned something
