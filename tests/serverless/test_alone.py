"""A run that came to its end, but not to what it was for, says so, and by its exit code too."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from devices import ended, history, own_model, run_here, settings, setup_of, start

from p2pl_flower.errors import DeviceError
from p2pl_flower.serverless.problems import ALONE as ALONE_CODE
from p2pl_flower.serverless.problems import problems

pytestmark = pytest.mark.slow

ALONE = {
    "rounds": 1,
    "start": 60,
    "linger": 1,
    "waiting": {"deadline": 2.0, "grace": 0.1},
}


def test_a_device_that_nobody_answered_says_so(tmp_path) -> None:
    made = settings(nx.path_graph(2), tmp_path, **{**ALONE, "start": 1})
    process = start(made[0], tmp_path)
    assert ended(process, 60) == ALONE_CODE
    log = (tmp_path / "device-0.log").read_text()
    assert "goes on without neighbors that did not answer in 1 seconds: 1" in log
    assert "device 0 trained alone: no neighbor's model arrived in any round, of 1 asked" in log
    assert f"model in {tmp_path}/device-0/model.safetensors" in log
    assert setup_of(tmp_path, 0)["models"] == {"asked": 1, "arrived": 0}


def test_devices_whose_settings_differ_exchange_no_model(tmp_path) -> None:
    """They have told each other; what one mixes is nothing that the other could use."""
    made = settings(nx.path_graph(3), tmp_path, **{**ALONE, "rounds": 2})
    made[2]["weights"] = "uniform"
    processes = [start(values, tmp_path) for values in made.values()]
    codes = [ended(process, 60) for process in processes]
    logs = [(tmp_path / f"device-{d}.log").read_text() for d in made]
    assert codes == [0, 0, ALONE_CODE], logs
    assert "refused neighbor 2 (mismatch)" in logs[1]
    assert "weights='uniform'" in logs[1] or "weights='metropolis'" in logs[1]
    assert "device 2 trained alone" in logs[2]
    assert setup_of(tmp_path, 0)["models"] == {"asked": 2, "arrived": 2}
    assert setup_of(tmp_path, 1)["models"]["arrived"] == 2
    assert setup_of(tmp_path, 2)["models"]["arrived"] == 0


def test_steps_of_synchronization_are_among_what_must_agree(tmp_path) -> None:
    made = settings(nx.path_graph(2), tmp_path, **ALONE)
    made[1]["sync-steps"] = 3
    processes = [start(values, tmp_path) for values in made.values()]
    assert [ended(process, 60) for process in processes] == [ALONE_CODE] * 2
    log = (tmp_path / "device-0.log").read_text()
    assert "refused neighbor 1 (mismatch)" in log
    assert "mismatch" in log.partition("trained alone")[2]
    assert "sync-steps=3" in log or "sync-steps=1" in log


def test_a_model_that_is_no_number_any_more_is_replaced_by_a_neighbors(tmp_path) -> None:
    made = settings(nx.path_graph(2), tmp_path, **{**ALONE, "rounds": 2})
    for values in made.values():
        values["run-config"] = {"nan-at": 1}
    processes = [start(values, tmp_path) for values in made.values()]
    assert [ended(process, 60) for process in processes] == [ALONE_CODE, 1]
    alone, broken = ((tmp_path / f"device-{d}.log").read_text() for d in made)
    assert "array 'w' of its own model holds a NaN or an infinity after round 1" in broken
    assert "it goes on from device 0's" in broken
    assert "own training gave a NaN or an infinity in 2 round(s), the last of them 2" in broken
    assert "device 0 trained alone" in alone
    assert "(not-finite 2)" in alone
    assert setup_of(tmp_path, 1)["healed"] == {"1": 0, "2": 0}
    assert np.array_equal(own_model(made[1])["w"], own_model(made[0])["w"])


def test_a_model_that_is_no_number_any_more_is_said(tmp_path) -> None:
    """Nobody's can replace it where nobody is there."""
    made = settings(nx.path_graph(2), tmp_path, **{**ALONE, "start": 1, "rounds": 2})
    made[1]["run-config"] = {"nan-at": 1}
    assert ended(start(made[1], tmp_path), 60) == ALONE_CODE
    broken = (tmp_path / "device-1.log").read_text()
    assert broken.count("neighbors refuse the model from now on") == 1
    assert "device 1's model holds a NaN or an infinity since round 1" in broken
    assert setup_of(tmp_path, 1)["not_finite_since"] == 1
    [run] = history(tmp_path, 1).runs
    assert run.rounds[0].after_consensus.loss is not None  # measured, though it is no number


def test_links_that_are_down_on_purpose_are_nobodys_failure(tmp_path) -> None:
    made = settings(nx.path_graph(2), tmp_path, rounds=2, links="periodic:every=2", linger=5)
    run_here(made)
    setup = setup_of(tmp_path, 0)
    assert setup["models"] == {"asked": 1, "arrived": 1}
    assert problems(0, setup) == []
    assert own_model(made[0])["steps"] == 2


def test_a_history_that_cannot_be_written_is_a_clear_error(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    made = settings(nx.path_graph(2), tmp_path, **{**ALONE, "start": 1})
    made[0]["history"] = str(tmp_path / "file" / "x")
    assert ended(start(made[0], tmp_path), 60) == 2
    log = (tmp_path / "device-0.log").read_text()
    assert f"history='{tmp_path}/file/x': cannot be written" in log
    assert "Traceback" not in log


def test_samples_that_are_not_counted_are_no_zero_where_they_weigh(tmp_path) -> None:
    uncounted = {"rounds": 1, "linger": 1, "run_config": {"uncounted": True}}
    run_here(settings(nx.path_graph(2), tmp_path, **uncounted))  # nobody needs them
    (tmp_path / "weighed").mkdir()
    made = settings(nx.path_graph(2), tmp_path / "weighed", weights="data-size", **uncounted)
    with pytest.raises(DeviceError, match=r"device \d trained, and returned num-examples=None"):
        run_here(made)


@pytest.mark.parametrize(
    ("setup", "count"),
    [
        ({}, 0),
        ({"models": {"asked": 0, "arrived": 0}}, 0),
        ({"models": {"asked": 4, "arrived": 1}}, 0),
        ({"models": {"asked": 4, "arrived": 4}}, 1),
        ({"models": {"asked": 4, "arrived": 4}, "answers": {"1": {"given": 1}}}, 0),
        ({"models": {"asked": 4, "arrived": 0}}, 1),
        ({"models": {"asked": 4, "arrived": 0}, "not_finite_since": 2}, 2),
    ],
)
def test_problems(setup, count) -> None:
    assert len(problems(3, setup)) == count
