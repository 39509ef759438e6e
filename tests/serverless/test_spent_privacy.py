"""A peer with no server counts what it has spent, over a restart too."""

from __future__ import annotations

import networkx as nx
import pytest
from devices import history, run_here, settings, setup_of

from p2pl_flower.serverless.reports import Report

pytestmark = pytest.mark.slow

PRIVACY = "gaussian:clip=1.0,noise=2.0"


@pytest.fixture(autouse=True)
def _rounds_as_epsilon(monkeypatch) -> None:
    monkeypatch.setattr("p2pl_flower.options.spending.check_accountant", lambda _: None)
    monkeypatch.setattr("p2pl_flower.options.spending.epsilon_of", lambda *given: float(given[2]))


def spent(folder, device: int) -> list[float]:
    [run] = history(folder, device).runs
    return [r.epsilon for r in run.rounds]


class StoppedError(Exception):
    pass


def test_a_restart_counts_a_round_more(tmp_path) -> None:
    made = settings(nx.path_graph(2), tmp_path, privacy=PRIVACY, rounds=3)

    def stop(report: Report) -> None:
        if report.measured.round == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        run_here(made, stop)
    assert spent(tmp_path, 0) == [1, 2]
    assert setup_of(tmp_path, 0)["epsilon_per_round"] == 1
    run_here(made)
    assert [spent(tmp_path, d) for d in made] == [[1, 2, 4], [1, 2, 4]]
