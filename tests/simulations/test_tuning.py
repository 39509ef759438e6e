"""Settings that a claim tunes: chosen on the validation part alone, every grid point kept."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from p2pl_flower.errors import ConfigError
from p2pl_flower.history import History, Round, Run, Scores, Spread
from simulations.paper import kept, page, runner
from simulations.paper.claims import Claim
from simulations.paper.summary import rows
from simulations.paper.tuned import tuning_table

TOML = """
title = "A tuned claim"
text = "On digits."
reach = 0.5
figures = ["spread"]

[scenario]
dataset = "digits"
num-devices = 6
topology = "ring"
rounds = 4
evaluate-every = 1

[tune]
grid = { learning-rate = [0.02, 0.1, 0.5] }
validation = 0.2
rounds = 3
seeds = 2

[[vary]]
contender = "p2pl"
consensus-steps = [1, 2]

[[vary]]
contender = "fedavg"

[[vary]]
contender = "fedavg"
learning-rate = 0.3

[test]
mean = 1.0
judged = { contender = ["p2pl"] }
"""

BEST = {"p2pl": 0.12, "fedavg": 0.5}
"""The learning rate that each is made to score best at, on the validation part."""


@pytest.fixture
def claim(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(TOML, encoding="utf-8")
    return Claim.load(path)


@pytest.fixture
def trained(monkeypatch):
    """Stand for training: the scenarios that were run; scores depend on the learning rate."""
    seen = []

    def run(scenario, contender, on_round):
        seen.append(scenario)
        rate, validated = scenario.training.learning_rate, scenario.validation > 0
        off = abs(rate - BEST[contender.name])
        mean = 0.9 - off if validated else 0.5 + rate / 10  # on the test set, more is better
        spread = Spread(mean, mean, mean, 0.0)
        rounds = [Round(r + 1, after_consensus=Scores(spread, None)) for r in range(3)]
        return Run(contender.name, "swarm", scenario.seed, 6, {}, rounds)

    monkeypatch.setitem(runner.ENGINES, "swarm", run)
    return seen


def test_each_is_run_at_the_rate_of_its_own_best_validation_score(claim, tmp_path, trained):
    runner.run([claim], 1, tmp_path)
    final = [s for s in trained if not s.validation]
    assert [s.training.learning_rate for s in final] == [0.1, 0.1, 0.5, 0.3]
    assert [s.rounds for s in final] == [4] * 4
    tried = [s for s in trained if s.validation]
    assert len(tried) == 3 * 3 * 2  # variants, rates, seeds; the fixed rate is not tried
    assert {(s.validation, s.rounds, s.evaluate_every) for s in tried} == {(0.2, 3, 3)}
    assert [s.seed for s in tried[:4]] == [0, 1, 0, 1]


def test_what_is_done_is_not_run_again(claim, tmp_path, trained):
    runner.run([claim], 1, tmp_path)
    done = len(trained)
    runner.run([claim], 1, tmp_path)
    assert len(trained) == done
    runner.run([claim], 2, tmp_path)
    assert len(trained) == done + 4  # another seed at the rates that were chosen


def test_an_interruption_costs_one_run(claim, tmp_path, trained, monkeypatch):
    whole = runner.ENGINES["swarm"]

    def stopping(scenario, contender, on_round):
        if len(trained) == 5:
            raise KeyboardInterrupt
        return whole(scenario, contender, on_round)

    monkeypatch.setitem(runner.ENGINES, "swarm", stopping)
    with pytest.raises(KeyboardInterrupt):
        runner.run([claim], 1, tmp_path)
    assert len(kept.kept_history(claim, tmp_path, kept.TUNING).runs) == 5
    assert rows(claim, *histories(claim, tmp_path)) == []
    [_, line] = tuning_table(claim, histories(claim, tmp_path)[1])
    assert line[3:] == ["80.00", "88.00", "", "-"]  # the last rate has one of its two seeds
    monkeypatch.setitem(runner.ENGINES, "swarm", whole)
    runner.run([claim], 1, tmp_path)
    assert len(trained) == 3 * 3 * 2 + 4


def test_a_wider_grid_runs_what_is_new_and_chooses_again(claim, tmp_path, trained):
    runner.run([claim], 1, tmp_path)
    done = len(trained)
    grid = {"learning-rate": [0.02, 0.1, 0.11, 0.5]}
    wider = replace(claim, tune=replace(claim.tune, grid=grid))
    runner.run([wider], 1, tmp_path)
    assert len(trained) == done + 3 * 2 + 2  # one more rate, and p2pl's two at another choice
    found = rows(wider, *histories(wider, tmp_path))
    assert [row.chosen for row in found][:2] == [{"learning-rate": 0.11}] * 2


def test_the_page_has_every_score_and_the_choice(claim, tmp_path, trained):
    runner.run([claim], 3, tmp_path)
    page.write([claim], tmp_path)
    own = json.loads((tmp_path / "small" / page.CHOICES).read_text(encoding="utf-8"))["table"]
    scores = ["learning-rate 0.02", "learning-rate 0.1", "learning-rate 0.5", "chosen"]
    assert own[0] == ["contender", "consensus-steps", "learning-rate", *scores]
    assert own[1] == ["p2pl", "1", "", "80.00", "88.00", "52.00", "learning-rate 0.1"]
    end = "learning-rate 0.5 (at the end of the grid)"
    assert own[3] == ["fedavg", "", "", "42.00", "50.00", "90.00", end]
    assert len(own) == 4
    results = json.loads((tmp_path / "small" / page.TABLE).read_text(encoding="utf-8"))["table"]
    rate = results[0].index("learning-rate")
    assert [line[rate] for line in results[1:]] == ["0.1", "0.1", "0.5", "0.3"]
    text = (tmp_path / page.PAGE).read_text(encoding="utf-8")
    assert "20 % of each device's training samples, after 3 rounds (2 seeds, 0, 1)" in text


def test_a_diverged_point_is_not_chosen(claim, tmp_path, trained):
    runner.run([claim], 1, tmp_path)
    history, tried = histories(claim, tmp_path)
    nowhere = Scores(Spread(0.99, 0.99, 0.99, 0.0), Spread(float("inf"), 0, 0, 0))
    for run in tried.runs:
        if run.settings["learning-rate"] == 0.1:
            run.rounds[-1].after_consensus = nowhere
    table = tuning_table(claim, tried)
    assert table[1][3:] == [
        "80.00",
        "diverged",
        "52.00",
        "learning-rate 0.02 (at the end of the grid)",
    ]
    assert rows(claim, history, tried)[0].variant.contender == "fedavg"  # p2pl's are to be run anew


def test_a_key_may_move_from_the_scenario_to_its_variants(claim, tmp_path, trained):
    runner.run([claim], 1, tmp_path)
    base = {key: value for key, value in claim.base.items() if key != "topology"}
    variants = tuple(v.with_settings({"topology": "ring"}) for v in claim.variants)
    moved = replace(claim, base=base, variants=variants)
    assert len(rows(moved, *histories(moved, tmp_path))) == 4
    other = replace(moved, variants=tuple(v.with_settings({"topology": "star"}) for v in variants))
    assert rows(other, *histories(other, tmp_path)) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds = 2", "seed = 2", "missing or unknown key"),
        ("[0.02, 0.1, 0.5]", "[0.02, -1.0]", "learning-rate=-1"),
        ("validation = 0.2", "validation = 2.0", "validation=2"),
    ],
)
def test_refused(tmp_path, old, new, message):
    path = tmp_path / "small.toml"
    path.write_text(TOML.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        Claim.load(path)


def histories(claim: Claim, results) -> tuple[History, History]:
    runs, tried = (kept.kept_history(claim, results, name) for name in (kept.RUNS, kept.TUNING))
    return runs, tried
