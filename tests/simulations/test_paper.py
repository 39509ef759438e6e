"""Candidates: they load, run once, go on after an interruption, and are judged by their numbers."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from p2pl_flower.errors import ConfigError
from p2pl_flower.history import History, Round, Run, Scores, Spread
from simulations import paper
from simulations.paper import facts, kept, page, runner
from simulations.paper.claims import CLAIMS, Claim
from simulations.paper.measured import diverged
from simulations.paper.rule import Variant
from simulations.paper.sentence import verdict
from simulations.paper.summary import rows
from simulations.paper.verdict import HOLDS, NOT, UNDECIDED, judge
from simulations.report import aligned
from simulations.scenario import Scenario

pytestmark = pytest.mark.slow

TOML = """
title = "A small claim"
text = "On digits."
reach = 0.2
columns = ["spectral gap", "bias"]
figures = ["accuracy", "oscillation", "spectral-gap", "spread"]

[scenario]
dataset = "digits"
num-devices = 6
topology = "ring"
rounds = 2
evaluate-every = 1

[[vary]]
contender = "p2pl"
topology = ["ring", "complete"]

[[vary]]
contender = "p2pl"
topology = "ring"
consensus-steps = 3

[[vary]]
contender = "fedavg"

[test]
mean = 1.0
worst = 2.0
cases = ["topology"]
"""


@pytest.fixture
def claim(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(TOML, encoding="utf-8")
    return Claim.load(path)


def made(claim: Claim, accuracies: list[tuple[float, float]], seed: int = 0) -> list[Run]:
    """Return a run for each variant whose mean and worst accuracy are given."""
    return [
        Run(
            variant.contender,
            variant.engine,
            seed,
            6,
            rounds=[
                Round(1, after_consensus=Scores(Spread(mean / 2, 0, 1, 0), None), bytes_sent=1),
                Round(2, after_consensus=Scores(Spread(mean, worst, 1, 0), None), bytes_sent=1),
            ],
            settings=variant.settings,
        )
        for variant, (mean, worst) in zip(claim.variants, accuracies, strict=True)
    ]


def judged(claim: Claim, *seeds: list[tuple[float, float]]):
    runs = [run for seed, ends in enumerate(seeds) for run in made(claim, ends, seed)]
    return verdict(claim, rows(claim, History({}, {}, runs)))


def test_variants_are_products_in_order(claim):
    assert [str(v) for v in claim.variants] == [
        "p2pl, topology ring",
        "p2pl, topology complete",
        "p2pl, topology ring, consensus-steps 3",
        "fedavg",
    ]
    assert claim.keys == ["topology", "consensus-steps"]
    assert claim.scenario(claim.variants[2], seed=4).options.consensus_steps == 3
    assert claim.scenario(claim.variants[2], seed=4).seed == 4


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
    assert judged(claim, good).detail[0].endswith("1 seed")
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


def test_run_then_resume_then_render(claim, tmp_path, monkeypatch):
    results, done = tmp_path / "results", []

    def stop_at_third(scenario, contender, on_round):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(contender.name)
        return swarm(scenario, contender, on_round)

    swarm = runner.ENGINES["swarm"]
    monkeypatch.setitem(runner.ENGINES, "swarm", stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        runner.run([claim], 1, results)
    assert len(kept.kept_history(claim, results).runs) == 2
    unfinished = page.texts([claim], results)[page.PAGE]
    assert "2 runs so far" in unfinished

    monkeypatch.setitem(runner.ENGINES, "swarm", swarm)
    runner.run([claim], 2, results)
    history = History.load(results / "small" / "history.json")
    assert [run.seed for run in history.runs] == [0] * 4 + [1] * 4
    before = (results / "small" / "history.json").stat().st_mtime_ns
    runner.run([claim], 2, results)
    assert (results / "small" / "history.json").stat().st_mtime_ns == before

    page.write([claim], results)
    text = (results / page.PAGE).read_text(encoding="utf-8")
    assert "2 seeds, 0, 1" in text
    assert "runs so far" not in text
    table = json.loads((results / page.SUMMARY).read_text(encoding="utf-8"))["table"]
    assert [line[0] for line in table] == ["claim", "A small claim"]
    own = json.loads((results / "small" / page.TABLE).read_text(encoding="utf-8"))["table"]
    assert [line[0] for line in own] == ["contender", "p2pl", "p2pl", "p2pl", "fedavg"]
    assert aligned(own) in text
    for name in claim.figures:
        assert (results / "small" / f"{name}.png").stat().st_size > 5000


def test_a_changed_scenario_is_run_again(claim, tmp_path):
    runner.run([claim], 1, tmp_path)
    longer = replace(claim, base={**claim.base, "rounds": 3})
    assert kept.kept_history(longer, tmp_path).runs == []
    fewer = replace(claim, variants=claim.variants[1:])
    assert len(kept.kept_history(fewer, tmp_path).runs) == 3


def test_theory(claim):
    ring, complete, *_ = (claim.scenario(variant, 0) for variant in claim.variants)
    assert facts.gap(complete) == pytest.approx(1.0)
    assert 0 < facts.gap(ring) < 1
    assert facts.bias(ring) < 1e-3  # shares are equal, to one sample
    shares = Scenario.of({**complete.keys(), "partition": "linear", "weights": "data-size"})
    assert facts.bias(shares) == pytest.approx(0.0, abs=1e-12)
    assert facts.bias(Scenario.of({**shares.keys(), "weights": "metropolis"})) > 0.1
    assert facts.gap(replace(ring, topology="random-matchings")) is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("mean = 1.0", "means = 1.0", "claim='small': has a missing or unknown key"),
        ("reach = 0.2", "", "missing or unknown key"),
        ('"complete"]', '"comb"]', "topology='comb': unknown name"),
        ('"fedavg"', '"fedup"', "contenders='fedup': unknown name"),
        ('"fedavg"', '"fedavg"\nengine = "steam"', "engine='steam': unknown name"),
    ],
)
def test_refused(tmp_path, old, new, message):
    path = tmp_path / "small.toml"
    path.write_text(TOML.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        Claim.load(path)


def test_unknown_claim():
    with pytest.raises(ConfigError, match="only='nothing': unknown claim"):
        paper.claims(["nothing"])


@pytest.mark.parametrize("name", [path.stem for path in sorted(CLAIMS.glob("*.toml"))])
def test_every_judged_variant_has_a_reference(name):
    [found] = paper.claims([name])
    untuned = replace(found, tune=None)
    accuracies = [(0.5, 0.5)] * len(found.variants)
    everything = rows(untuned, History({}, {}, made(found, accuracies)))
    assert len(everything) == len(set(map(str, found.variants)))
    for test in found.tests:
        wanted = [row.variant for row in everything if test.judges(row.variant)]
        assert wanted
        beside = judge(untuned, everything, test)
        assert [j.row.variant for j in beside] == wanted
        assert all(isinstance(j.reference.variant, Variant) for j in beside)


def test_the_committed_page_is_what_its_histories_say():
    for name, text in page.texts(paper.claims()).items():
        committed = (kept.RESULTS / name).read_text(encoding="utf-8")
        assert committed == text, f"{name} is stale: run python -m simulations paper --seeds 0"
