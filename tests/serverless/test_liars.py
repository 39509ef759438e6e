"""Neighbors that say what is not so: of their rounds, their norms and what is newest."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from devices import own_model, run_here, settings, setup_of

from p2pl_flower.algorithms.max_norm import Candidates
from p2pl_flower.relay.grpc import Endpoint

pytestmark = pytest.mark.slow


def lie(monkeypatch, liar: int, **said) -> None:
    """Let a device say something else of itself than is so, in all that it says."""
    card = Endpoint._card

    def lying(self, run):
        told = card(self, run)
        return {**told, **said} if self.device == liar else told

    monkeypatch.setattr(Endpoint, "_card", lying)


def test_who_says_that_it_is_in_round_30_makes_nobody_skip_any(tmp_path, monkeypatch) -> None:
    lie(monkeypatch, liar=1, round=30)
    made = settings(nx.path_graph(2), tmp_path, rounds=30, linger=5, start=30)
    run_here({0: made[0], 1: made[1]})
    assert setup_of(tmp_path, 0)["skipped_rounds"] == []


def test_one_that_says_it_is_under_way_hands_no_start_to_three(tmp_path, monkeypatch) -> None:
    lie(monkeypatch, liar=3, newest=[5, 0])
    made = settings(nx.complete_graph(4), tmp_path, rounds=1, linger=5, start=30)
    run_here(made)
    for device in (0, 1, 2):
        assert "model_from" not in setup_of(tmp_path, device)
        assert setup_of(tmp_path, device)["initial_model_of"]


def test_one_of_two_that_says_it_is_under_way_keeps_nobody_from_the_common_start(
    tmp_path, monkeypatch
) -> None:
    lie(monkeypatch, liar=2, newest=[5, 0])
    made = settings(
        nx.complete_graph(3), tmp_path, rounds=1, linger=5, start=30, waiting={"deadline": 1}
    )
    run_here(made)
    setups = [setup_of(tmp_path, device) for device in (0, 1)]
    assert all("model_from" not in setup for setup in setups)
    assert setups[0]["initial_model_of"] == setups[1]["initial_model_of"]


@pytest.mark.parametrize("named", [1e300, 1e6, 500.0])
def test_a_norm_that_is_named_is_that_of_the_model_or_does_not_count(
    tmp_path, monkeypatch, named
) -> None:
    of = Candidates.of.__func__

    def lying(cls, model, scope, device):
        found = of(cls, model, scope, device)
        return Candidates(np.full_like(found.norms, named), found.origins) if device == 2 else found

    monkeypatch.setattr(Candidates, "of", classmethod(lying))
    made = settings(nx.complete_graph(3), tmp_path, rounds=1, linger=5, start=30)
    run_here(made)
    origins = [setup_of(tmp_path, device)["initial_model_of"] for device in (0, 1)]
    assert origins[0] == origins[1] != [2]
    assert np.isfinite(own_model(made[0])["w"]).all()
