"""A peer with no server counts what it has spent, over a restart too."""

from __future__ import annotations

import networkx as nx
import pytest
from devices import history, run_here, settings, setup_of

from p2pl_flower.errors import ConfigError
from p2pl_flower.serverless.peer import ServerlessPeer
from p2pl_flower.serverless.reports import Report
from p2pl_flower.serverless.spent import RoundsBegun

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


def test_rounds_that_were_begun_count_once_and_again_when_run_anew(tmp_path) -> None:
    made = settings(nx.path_graph(2), tmp_path, privacy=PRIVACY, rounds=3)

    def stop(report: Report) -> None:
        if report.measured.round == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        run_here(made, stop)
    assert spent(tmp_path, 0) == [1, 2]
    assert setup_of(tmp_path, 0)["epsilon_per_round"] == 1
    for device in made:  # so that they go on from round 1, and run round 2 anew
        (tmp_path / f"device-{device}" / "checkpoint.safetensors").write_bytes(b"damaged")
    run_here(made)
    assert [spent(tmp_path, d) for d in made] == [[1, 3, 4], [1, 3, 4]]


def test_a_round_is_counted_before_anything_of_it_is_let_out(tmp_path, monkeypatch) -> None:
    made = settings(nx.path_graph(2), tmp_path, privacy=PRIVACY, rounds=2)
    counted = []

    def trains(peer: ServerlessPeer, number: int) -> None:
        counted.append(RoundsBegun(tmp_path / f"device-{peer.endpoint.device}").read())
        raise StoppedError

    with monkeypatch.context() as patched:
        patched.setattr(ServerlessPeer, "_train", trains)
        with pytest.raises(StoppedError):
            run_here(made)
    assert counted == [1, 1]
    run_here(made)
    assert [spent(tmp_path, d) for d in made] == [[2, 3], [2, 3]]


def test_what_cannot_be_counted_is_not_begun(tmp_path) -> None:
    counted = RoundsBegun(tmp_path)
    assert counted.read() is None
    for count in (1, 12, 3):
        counted.write(count)
        assert counted.read() == count
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"checkpoint=.*cannot be written .* no round begins"):
        RoundsBegun(tmp_path / "file").write(1)
    RoundsBegun(None).write(1)
    assert RoundsBegun(None).read() is None
