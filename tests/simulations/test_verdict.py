"""Verdicts follow from the intervals of paired seeds; what decides nothing is undecided."""

from __future__ import annotations

from dataclasses import replace

import pytest
from claim_runs import TOML, made

from p2pl_flower.errors import ConfigError
from p2pl_flower.history import History, Scores, Spread
from simulations.paper import page
from simulations.paper.claims import Claim
from simulations.paper.interval import interval
from simulations.paper.measured import diverged, swing
from simulations.paper.parts import parts
from simulations.paper.sentence import verdict
from simulations.paper.summary import rows
from simulations.paper.verdict import HOLDS, NOT, UNDECIDED
from simulations.scenario import Scenario


@pytest.fixture
def claim(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(TOML, encoding="utf-8")
    return Claim.load(path)


def judged(claim: Claim, *seeds: list[tuple[float, float]]):
    runs = [run for seed, ends in enumerate(seeds) for run in made(claim, ends, seed)]
    return verdict(claim, rows(claim, History({}, {}, runs)))


def test_words(claim):
    good, bad, far = (0.9, 0.9), (0.8, 0.7), (0.9, 0.85)
    assert judged(claim, *[[good] * 4] * 3).word == HOLDS
    assert judged(claim, *[[bad, bad, bad, good]] * 3).word == NOT
    mixed = judged(claim, *[[bad, good, good, good]] * 3)
    assert mixed.word == "holds in 1, does not hold in 1 of 2 cases"
    assert mixed.detail[0].startswith("does not hold for ring: mean -10.00 [-10.00, -10.00]")
    assert mixed.detail[2].startswith("holds for ring with consensus-steps 3: mean +0.00")
    assert judged(claim, *[[far, far, far, good]] * 3).word == NOT  # the worst device counts too
    everything = rows(claim, History({}, {}, made(claim, [good] * 4)))
    assert "3 of 4 variants have been run" in verdict(claim, everything[1:]).brief
    assert verdict(claim, []).brief == "0 of 4 variants have been run"
    assert verdict(claim, []).word == UNDECIDED


def test_fewer_than_three_seeds_decide_nothing(claim):
    good = [(0.9, 0.9)] * 4
    assert judged(claim, good).word == UNDECIDED
    assert judged(claim, good).detail[0].endswith("(1 seed)")
    assert judged(claim, good, good).word == UNDECIDED
    assert judged(claim, good, good, good).word == HOLDS


def test_an_interval_across_the_tolerance_is_undecided(claim):
    reference, means = (0.9, 0.9), (0.896, 0.891, 0.886)
    runs = [[(mean, mean)] * 3 + [reference] for mean in means]
    first = judged(claim, *runs)
    # behind by 0.4, 0.9, 1.4 points: 0.9 with t(0.975, 2) = 4.303 times 0.5 / sqrt(3)
    assert first.word == UNDECIDED
    assert first.detail[0].startswith("undecided for ring: mean -0.90 [-2.14, +0.34]")


def test_seeds_are_paired(claim):
    """What both share with their seed, such as its split of the data, cancels out."""
    together = [[(base - 0.005, base - 0.005)] * 3 + [(base, base)] for base in (0.9, 0.6, 0.8)]
    assert judged(claim, *together).word == HOLDS


def test_the_worst_device_is_held_against_the_worst_of_the_reference(claim):
    spread = (0.9, 0.7)
    found = judged(claim, *[[spread, spread, spread, spread]] * 3)
    assert found.word == HOLDS
    assert "worst device +0.00" in found.detail[0]


def test_a_diverged_reference_is_no_baseline(claim):
    good = (0.9, 0.9)
    runs = [made(claim, [good, good, good, (0.1, 0.1)], seed) for seed in range(3)]
    for seed in runs:
        first = seed[3].rounds[0]
        first.after_consensus = Scores(Spread(0.95, 0.95, 0.95, 0), None)
    found = rows(claim, History({}, {}, [run for seed in runs for run in seed]))
    assert found[3].diverged
    assert verdict(claim, found).word == UNDECIDED
    assert verdict(claim, found).detail[0] == "undecided for ring: the reference diverged"
    assert page.accuracies(found[3]) == ["diverged", "-", "-"]


def test_a_loss_that_is_no_number_is_divergence(claim):
    runs = made(claim, [(0.9, 0.9)] * 4)
    assert not diverged(runs[0])
    nowhere = Spread(float("nan"), 0.0, 0.0, 0.0)
    runs[0].rounds[-1].after_consensus = Scores(Spread(0.9, 0.9, 0.9, 0), nowhere)
    assert diverged(runs[0])
    assert diverged(History.from_json(History({}, {}, runs).to_json()).runs[0])


def test_many_cases_are_counted(tmp_path):
    path = tmp_path / "many.toml"
    more = '["ring", "complete", "star", "path", "torus", "exponential", "regular:d=2"]'
    path.write_text(TOML.replace('["ring", "complete"]', more), encoding="utf-8")
    many, good, bad = Claim.load(path), (0.9, 0.9), (0.8, 0.7)
    found = judged(many, *[[bad, good, good, bad, good, good, good, good, good]] * 3)
    assert found.word == "holds in 5, does not hold in 2 of 7 cases"
    assert found.brief == (
        "holds for complete, star, torus, exponential, regular:d=2; does not hold for ring, path; "
        "with other settings holds in 1 of the others"
    )
    assert len(found.detail) == 8


def test_seeds_are_averaged(claim):
    ends = [(0.5, 0.4), (0.6, 0.5), (0.7, 0.6), (0.8, 0.8)]
    better = [(mean + 0.1, worst) for mean, worst in ends]
    history = History({}, {}, [*made(claim, ends, 1), *made(claim, better, 0)])
    first, *_ = rows(claim, history)
    assert [run.seed for run in first.runs] == [0, 1]
    assert (first.mean, first.worst) == (pytest.approx(0.55), pytest.approx(0.4))
    assert page.accuracies(first) == ["55.00 ± 63.53", "40.00 ± 0.00", "100.00"]
    assert first.rounds_to(0.3) == 2  # one seed is there after round 1 already
    assert first.rounds_to(0.55) is None
    assert first.bytes_of("bytes_sent") == 1
    assert first.bytes_of("bytes_through_server") is None


def test_the_interval_of_a_mean():
    found = interval([1.0, 2.0, 3.0])
    assert found.mean == 2.0
    assert found.half == pytest.approx(4.302653 / 3**0.5, rel=1e-6)  # t(0.975, 2), s = 1
    assert (interval([5.0]).low, interval([5.0]).high) == (-float("inf"), float("inf"))


def test_a_reference_that_has_not_been_run(claim):
    runs = [run for seed in range(3) for run in made(claim, [(0.9, 0.9)] * 4, seed)]
    found = rows(claim, History({}, {}, [run for run in runs if run.contender != "fedavg"]))
    said = verdict(claim, found)
    assert said.word == UNDECIDED
    assert said.detail[0] == "undecided for ring: its reference has not been run yet"
    assert "not run yet" in verdict(claim, found[1:]).detail[0]


def test_rounds_to_a_level(tmp_path):
    """The judged ones are at 0.4, then 0.8; what stays below the level counts as one round more."""
    path = tmp_path / "rounds.toml"
    text = TOML.replace("mean = 1.0\nworst = 2.0", "rounds = -1").replace(
        "reach = 0.2", "reach = 0.7"
    )
    path.write_text(text, encoding="utf-8")
    claim, fast, slow = Claim.load(path), (0.8, 0.8), (0.6, 0.6)
    found = judged(claim, *[[fast, slow, fast, slow]] * 3)
    assert found.detail[0] == "holds for ring: rounds -1.0 [-1.0, -1.0]"
    assert found.detail[1] == "undecided for complete: neither reached the level"
    assert judged(claim, *[[fast, fast, fast, fast]] * 3).word == NOT  # as fast is not sooner


@pytest.mark.parametrize(("tolerance", "word"), [(0.0, NOT), (1.0, UNDECIDED)])
def test_who_never_reaches_the_level_is_behind_by_nobody_knows_how_much(claim, tolerance, word):
    timed = replace(claim, tests=(replace(claim.test, mean=None, worst=None, rounds=tolerance),))
    never, last = (0.6, 0.6), (0.8, 0.8)  # which reaches it in the last round, 1 before "never"
    found = judged(replace(timed, reach=0.7), *[[never, never, never, last]] * 3)
    assert found.detail[0] == f"{word} for ring: rounds +1.0 [+1.0, +1.0]"
    sooner = replace(timed, tests=(replace(timed.test, rounds=-2.0),), reach=0.7)
    assert judged(sooner, *[[last, last, last, never]] * 3).word == UNDECIDED


def test_the_swing_is_that_of_the_second_half(claim):
    [run, *_] = made(claim, [(0.9, 0.9)] * 4)
    assert swing(run) is None  # not scored after training
    for entry, trained in zip(run.rounds, (0.1, 0.5), strict=True):
        entry.after_training = Scores(Spread(trained, 0, 1, 0), None)
    assert swing(run) == pytest.approx(0.4)


def test_one_run_that_diverged_decides_no_more_than_another(claim):
    good, lost = (0.9, 0.9), (0.04, 0.04)
    seeds = [made(claim, [lost, good, good, good], seed) for seed in range(3)]
    for runs in seeds:
        runs[0].rounds[0].after_consensus = Scores(Spread(0.9, 0.9, 0.9, 0), None)
    one, three = (
        rows(claim, History({}, {}, [run for runs in seeds[:n] for run in runs])) for n in (1, 3)
    )
    assert verdict(claim, one).detail[0] == "undecided for ring: diverged (1 seed)"
    assert verdict(claim, three).detail[0] == "does not hold for ring: diverged"


def test_a_measure_without_figures_is_undecided(claim):
    both = replace(claim, tests=(replace(claim.test, rounds=0.0),), reach=0.95)
    assert judged(claim, *[[(0.9, 0.9)] * 4] * 3).word == HOLDS
    assert judged(both, *[[(0.9, 0.9)] * 4] * 3).word == UNDECIDED  # nobody reaches the level


def test_a_level_for_each_dataset(claim):
    levels = replace(claim, reach={"digits": 0.4, "mnist": 0.9})
    assert levels.level(claim.variants[0]) == 0.4
    assert levels.level(claim.variants[0].with_settings({"dataset": "mnist"})) == 0.9
    with pytest.raises(ConfigError, match="has no level for cifar10"):
        levels.level(claim.variants[0].with_settings({"dataset": "cifar10"}))


def test_where_no_link_joins_two_parts_no_algorithm_could(claim, tmp_path):
    path = tmp_path / "parted.toml"
    links = 'links = "bernoulli:up=0.01"\nrounds = 2'
    path.write_text(TOML.replace("rounds = 2", links), encoding="utf-8")
    parted, good, bad = Claim.load(path), (0.9, 0.9), (0.5, 0.5)
    found = judged(parted, *[[bad, good, bad, good]] * 3)
    assert found.detail[0].endswith("leave the devices in 6 parts (seed 0)")
    assert "no algorithm could" not in found.detail[1]  # it has nothing to explain
    assert "no algorithm" not in judged(claim, *[[bad, bad, bad, good]] * 3).detail[0]


@pytest.mark.parametrize(
    ("keys", "count"),
    [
        ({}, 1),
        ({"links": "periodic:every=3", "rounds": 2}, 6),
        ({"links": "periodic:every=3", "rounds": 3}, 1),
        ({"links": "bernoulli:up=0.01,one-way=true", "rounds": 1}, 6),
        ({"topology": "random-matchings", "rounds": 1}, 3),
        ({"topology": "random-matchings", "rounds": 1, "consensus-steps": 20}, 1),
    ],
)
def test_parts_that_all_links_of_a_run_leave(keys, count):
    assert parts(Scenario.of({"num-devices": 6, "topology": "ring", **keys})) == count
