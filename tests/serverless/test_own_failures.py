"""A peer whose own functions fail: it sits out the round, is not scored, or ends, as it is told."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from devices import history, own_model, run_here, settings, setup_of

from p2pl_flower.errors import DeviceError
from p2pl_flower.serverless.peer import ServerlessPeer
from p2pl_flower.serverless.problems import problems
from p2pl_flower.serverless.settings import Settings

pytestmark = pytest.mark.slow

BRIEF = {"start": 0.1, "linger": 0.1, "waiting": {"deadline": 2.0, "grace": 0.1}}


def models(folder, run_config, **options):
    """Return the models of two devices, the second of which has this run config."""
    folder.mkdir()
    made = settings(nx.path_graph(2), folder, **options)
    made[1]["run-config"] = run_config
    run_here(made)
    return [own_model(values)["w"] for values in made.values()]


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_device_that_cannot_score_trains_and_mixes_all_the_same(tmp_path, steps, caplog) -> None:
    options = {"consensus_steps": steps}
    plain = models(tmp_path / "plain", {}, **options)
    found = models(tmp_path / "found", {"no-test-data": True}, **options)
    for ours, theirs in zip(found, plain, strict=True):
        assert np.array_equal(ours, theirs)
    [run] = history(tmp_path / "found", 1).runs
    assert [(r.after_training, r.after_consensus) for r in run.rounds] == [(None, None)] * 3
    [plain] = history(tmp_path / "plain", 1).runs
    assert [r.bytes_sent for r in run.rounds] == [r.bytes_sent for r in plain.rounds]
    setup = setup_of(tmp_path / "found", 1)
    assert setup["failures"] == {"evaluate": 6}
    assert setup["models"] == {"asked": 3 * steps, "arrived": 3 * steps}
    assert problems(1, setup) == []
    text = "device 1 failed at {}: ZeroDivisionError: no test data; what it has trained counts"
    for kind in ("after-training-evaluate", "evaluate.p2pl"):
        assert caplog.text.count(text.format(kind)) == 3
    [other] = history(tmp_path / "found", 0).runs
    assert all(r.after_consensus is not None for r in other.rounds)


def test_a_device_whose_training_fails_sits_out_the_round(tmp_path, caplog) -> None:
    options = {"weights": "uniform", "waiting": {"deadline": 3}}
    one, two = models(tmp_path / "found", {"fail-in": 2}, **options)
    [run] = history(tmp_path / "found", 1).runs
    assert [r.round for r in run.rounds] == [1, 2, 3]
    assert [r.after_consensus is None for r in run.rounds] == [False, True, False]
    assert setup_of(tmp_path / "found", 1)["failures"] == {"train": 1}
    text = "device 1 failed at train.p2pl: ValueError: the user's own mistake; this device sits out"
    assert text in caplog.text
    # both leave round 1 with w; in round 2 only the first trains, and what the other has next,
    # of round 3, counts half of its weight of 1/2
    mean = history(tmp_path / "found", 0).runs[0].rounds[0].after_consensus.loss.mean
    ahead = 0.5 * (mean + 1)
    mixed = 0.75 * 0.5 * mean + 0.25 * ahead
    last = 0.5 * (0.5 * mixed + ahead)
    assert (one.mean(), two.mean()) == pytest.approx((last, last))


def alone(tmp_path, **options) -> ServerlessPeer:
    values = settings(nx.path_graph(2), tmp_path, **BRIEF)[0]
    return ServerlessPeer(Settings.of({**values, **options}))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"run-config": {"fail-in": 1}}, r"failed at train\.p2pl: ValueError: the user's own mis"),
        ({"run-config": {"fail-in": 2}, "on-failure": "raise"}, r"failed at train\.p2pl: ValueEr"),
        (
            {"run-config": {"no-test-data": True}, "on-failure": "raise"},
            "failed at after-training-evaluate: ZeroDivisionError: no test data",
        ),
    ],
)
def test_it_ends_where_it_is_told_to_or_has_never_trained(tmp_path, options, said) -> None:
    peer = alone(tmp_path, **options)
    try:
        with pytest.raises(DeviceError, match=said):
            peer.run()
    finally:
        peer.close()


def test_other_words_are_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match="on-failure='ignore': unknown name; choose one of: rai"):
        alone(tmp_path, **{"on-failure": "ignore"})
