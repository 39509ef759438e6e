"""Peers that do not wait for each other: each takes what its neighbors have by then."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from devices import history, own_model, run_here, settings

from p2pl_flower.errors import ConfigError
from p2pl_flower.serverless.settings import Settings

ROUNDS, SLOW = 8, 2


def test_a_slow_neighbor_keeps_nobody_waiting(tmp_path) -> None:
    made = settings(
        nx.complete_graph(3), tmp_path, rounds=ROUNDS, mode="async", weights="uniform", linger=30
    )
    made[SLOW]["run-config"] = {"seconds": 0.5}
    run_here(made)
    runs = {device: history(tmp_path, device).runs[0] for device in made}
    for run in runs.values():
        assert [r.round for r in run.rounds] == list(range(1, ROUNDS + 1))  # nobody skips any
        assert run.setup["skipped_rounds"] == []
    took = {device: sum(r.seconds for r in run.rounds) for device, run in runs.items()}
    assert took[SLOW] >= ROUNDS * 0.5
    assert max(took[0], took[1]) < took[SLOW] / 2
    heard = runs[SLOW].setup["answers"]
    assert sum(heard[j]["arrived"] for j in ("0", "1")) >= 2  # the others' newest
    # Whoever is alone goes to its own id; the slow one has been drawn to the others.
    assert own_model(made[SLOW])["w"].mean() < SLOW - 1e-3
    assert np.isfinite(own_model(made[0])["w"]).all()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"algorithm": "gradient-tracking"}, "algorithm='p2pl'"),
        ({"codec": "int8"}, "codec"),
        ({"weights": "data-size"}, "metropolis"),
        ({"on-missing": "reweight"}, "metropolis"),
    ],
)
def test_what_needs_rounds_is_refused(changes, words, tmp_path) -> None:
    made = settings(nx.path_graph(2), tmp_path, mode="async")
    with pytest.raises(ConfigError, match=words):
        Settings.of({**made[0], **changes})
