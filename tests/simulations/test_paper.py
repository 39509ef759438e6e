"""Candidates: they load, run once, go on after an interruption, and are judged by their numbers."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from claim_runs import TOML, made

from p2pl_flower.errors import ConfigError
from p2pl_flower.history import History
from simulations import paper
from simulations.paper import facts, kept, page, runner
from simulations.paper.claims import CLAIMS, Claim
from simulations.paper.rule import Variant
from simulations.paper.summary import rows
from simulations.paper.verdict import judge
from simulations.report import aligned
from simulations.scenario import Scenario

pytestmark = pytest.mark.slow


@pytest.fixture
def claim(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(TOML, encoding="utf-8")
    return Claim.load(path)


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
