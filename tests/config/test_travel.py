"""What users bring arrives at devices as it is, or is refused where it was given."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import networkx as nx
import numpy as np
import own_things
import pytest
from local_grid import LocalGrid
from own_things import Counting, Deaf, Fixed, Labelled, Never, Plain, Slotted
from toy_app import make_app, run, values

from p2pl_flower import P2PL, MemoryRelay, Options
from p2pl_flower.config import found_at, path_of, same, text_of
from p2pl_flower.errors import ConfigError, WeightsError
from p2pl_flower.flower import messages
from p2pl_flower.links import LINKS, All, Bernoulli, FunctionLinks, Perfect
from p2pl_flower.sharing import Sharing
from p2pl_flower.swarm.edges import Edges, edge_weights
from p2pl_flower.topology import schedule
from p2pl_flower.weights import (
    WEIGHTS,
    FunctionRule,
    Metropolis,
    WeightRule,
    mixing_matrix,
    needs_samples,
)

THINGS = [
    (Deaf(), WEIGHTS, "own_things.Deaf"),
    (Fixed(0.25), WEIGHTS, "own_things.Fixed:share=0.25,halved=False"),
    (Fixed(np.float32(0.1), halved=True), WEIGHTS, "own_things.Fixed:share=0.1000000"),
    (FunctionRule(own_things.smallest), WEIGHTS, "own_things.smallest"),
    (Metropolis(), WEIGHTS, "metropolis"),
    (Never(0.5, seed=3), LINKS, "own_things.Never:up=0.5,seed=3"),
    (Bernoulli(0.5, seed=3), LINKS, "bernoulli:up=0.5,seed=3"),
    (Bernoulli(1e-17), LINKS, "bernoulli:up=1e-17,seed=0"),
    (Plain(), LINKS, "own_things.Plain"),
    (FunctionLinks(own_things.even_rounds), LINKS, "own_things.even_rounds"),
    (All((Never(0.5), Perfect())), LINKS, "own_things.Never:up=0.5,seed=0,one_way=False+perfect"),
]


@pytest.mark.parametrize(("thing", "table", "text"), THINGS, ids=lambda x: str(x)[:40])
def test_text_makes_an_equal_object(thing, table, text) -> None:
    made = table.make(text_of(thing, table), seed=99)
    assert text_of(thing, table).startswith(text)
    assert same(thing, made)


def test_what_is_only_cached_is_no_state() -> None:
    rule = Fixed(0.5)
    assert rule.looked_up == 1
    assert text_of(rule, WEIGHTS) == "own_things.Fixed:share=0.5,halved=False"


def local_rule() -> WeightRule:
    @dataclass(frozen=True)
    class Local(WeightRule):
        def row(self, own, neighbors):
            return {}

    return Local()


def started() -> type:
    kind = type("Started", (Metropolis,), {"__qualname__": "Started"})
    kind.__module__ = "__main__"
    return kind()


def patched() -> WeightRule:
    rule = Fixed(0.5)
    object.__setattr__(rule, "row", lambda own, neighbors: {})
    return rule


def slotted() -> WeightRule:
    rule = Slotted()
    rule._hidden = 1
    return rule


def renamed() -> WeightRule:
    kind = type("Fixed", (Metropolis,), {"__module__": "own_things", "__qualname__": "Fixed"})
    return kind()


def by_closure(own, neighbors, share=0.5):
    return {}


REFUSED = [
    ("weights", lambda own, neighbors: {}, "within a function, or has no name"),
    ("weights", own_things.unnamed, "within a function, or has no name"),
    ("weights", functools.partial(by_closure, share=0.1), "has no name of its own"),
    ("weights", functools.lru_cache(by_closure), "is another object by now"),
    ("weights", local_rule(), "Local is defined within a function"),
    ("weights", started(), "Started is defined in the script that was started"),
    ("weights", renamed(), "own_things.Fixed is another object by now"),
    ("weights", patched(), "differs from it"),
    ("weights", slotted(), "differs from it"),
    ("weights", Counting({1: 0.5}), "table is {1: 0.5}, which is no number, text or truth"),
    ("weights", Fixed("a,b"), "share must be of type float, got 'a'"),
    ("weights", Fixed(float("nan")), "differs from it"),
    ("links", Labelled(0.5, label="y"), "label is None, which is no number"),
    ("links", All((Perfect(), Labelled(0.5, label="y"))), "label is None"),
    ("links", lambda i, j, t, s: i == i, "has no name"),
    ("shared", Sharing(("a,b",)), "a glob has a comma"),
    ("shared", type("Mine", (Sharing,), {})(), "is no Sharing"),
]


@pytest.mark.parametrize(("option", "thing", "why"), REFUSED)
def test_what_cannot_travel_is_refused_where_it_was_given(option, thing, why) -> None:
    options = Options(**{option: thing})  # where nothing travels, anything goes
    for refuse in (
        options.to_config,
        lambda: P2PL("ring", relay=MemoryRelay(), **{option: thing}),
    ):
        with pytest.raises(ConfigError) as caught:
            refuse()
        said = str(caught.value)
        assert said.startswith(f"{option}=")
        assert "cannot be sent to devices" in said
        assert "at the top level of a module that devices can import" in said
        assert why in said


@pytest.mark.parametrize(
    ("table", "text", "why"),
    [
        (WEIGHTS, "own_things.nothing", "cannot be imported (AttributeError: module 'own_things'"),
        (WEIGHTS, "no_such_module.Rule", "(ModuleNotFoundError: No module named 'no_such_module')"),
        (WEIGHTS, "own_things.Fixed.nothing", "AttributeError: type object 'Fixed'"),
        (WEIGHTS, "own_things.np", "must be an instance of WeightRule, a function"),
        (WEIGHTS, "own_things.Never:up=0.5", "must be an instance of WeightRule, a function"),
        (WEIGHTS, "os.system", "must be an instance of WeightRule, a function"),
        (WEIGHTS, "own_things.Fixed", "needs share, as in 'own_things.Fixed:share=...'"),
        (WEIGHTS, "own_things.QUARTER:share=1", "takes at most 0 value(s)|unknown parameter"),
        (LINKS, "own_things.Deaf", "must be an instance of Links, a function"),
        (LINKS, "own_things.Never", "needs up, as in 'own_things.Never:up=...'"),
        (LINKS, "own_things.smallest", "must be a function of four arrays"),
    ],
)
def test_paths_to_other_things_are_refused(table, text, why) -> None:
    with pytest.raises(ConfigError) as caught:
        table.make(text)
    assert any(words in str(caught.value) for words in why.split("|"))
    assert str(caught.value).startswith(f"{table.option}={text!r}: ")


def test_paths_lead_to_instances_and_nested_classes() -> None:
    assert WEIGHTS.make("own_things.QUARTER") is own_things.QUARTER
    assert found_at("p2pl_flower.options.Options.to_config") is Options.to_config
    assert path_of(Options.to_config) == "p2pl_flower.options.algorithm.Options.to_config"


def test_topologies_by_path() -> None:
    graph = schedule("own_things.bridged:width=2", 8).graph(1)
    assert nx.utils.graphs_equal(graph, schedule(own_things.bridged, 8).graph(1)) is False
    assert nx.number_of_edges(graph) == 10
    with pytest.raises(ConfigError, match="width has no annotation in the code"):
        schedule("own_things.clumsy:width=2", 8)
    with pytest.raises(
        ConfigError, match=r"makes \[8\], but must make an instance of Graph or Schedule"
    ):
        schedule("own_things.listed", 8)


def test_options_in_three_ways_are_the_same() -> None:
    assert Options(weights="uniform") == Options(weights=WEIGHTS.make("uniform"))
    assert Options(weights=own_things.smallest).weights == FunctionRule(own_things.smallest)
    assert Options(links="bernoulli:up=0.5", seed=3).links == Bernoulli(0.5, seed=3)
    for wrong in (Metropolis, 3.5, {"a": 1}):
        with pytest.raises(ConfigError, match="weights="):
            Options(weights=wrong)
    with pytest.raises(ConfigError, match="must be a name, an instance of Links, a function"):
        Options(links=Perfect)


def final(relay) -> list[float]:
    return [float(m["w"][0]) for m in relay.observe(7, "model").values()]


@pytest.mark.parametrize(
    "options",
    [
        {"weights": Deaf()},
        {"weights": "own_things.Deaf"},
        {"weights": Fixed(0.25)},
        {"weights": own_things.smallest},
        {"links": Never(0.9)},
        {"links": own_things.even_rounds},
        {"links": All((Perfect(), Never(0.9)))},
        {"weights": np.full((4, 4), 0.25), "topology": "complete"},
    ],
    ids=lambda options: str(options)[:60],
)
def test_what_travels_takes_effect_on_devices(options) -> None:
    topology = options.pop("topology", "ring")
    app, relay = make_app()
    _, result = run(LocalGrid(app, 4), relay, rounds=3, topology=topology, **options)
    made, graph = Options(**options), schedule(topology, 4).graph(1)
    weights = mixing_matrix(graph, made.weights, matrix=made.matrix)
    w = np.zeros(4)
    for number in range(1, 4):
        w = 0.5 * (w + np.arange(4))
        ids = np.arange(4)
        up = made.links.up(ids[:, None], ids, number, 1)
        kept = np.where(up, weights, 0) * (1 - np.eye(4))
        w = w + kept @ w - kept.sum(axis=1) * w
    assert values(result.arrays)["w"][0] == pytest.approx(w.mean())
    back = messages.options_from_config(messages.options_to_config(made))
    assert same(back.weights, made.weights)
    assert same(back.links, made.links)
    edges = Edges.of(graph)
    swarm = edge_weights(made.weights, edges, np.zeros(4, np.int64), made.matrix)
    assert np.allclose(swarm, weights[edges.to, edges.source])


def test_functions_that_do_not_fit_are_refused() -> None:
    for function, why in (
        (lambda i, j: True, "called so it failed (TypeError"),
        (lambda i, j, t, s: i if i > j else j, "called so it failed (ValueError"),
        (lambda i, j, t, s: i + j, "must return truths that broadcast to shape (3,)"),
        (lambda i, j, t, s: np.ones((2, 3), np.bool_), "must return truths that broadcast"),
    ):
        with pytest.raises(ConfigError) as caught:
            Options(links=function)
        assert why in str(caught.value)
    graph = nx.path_graph(3)
    for function in (
        lambda own, neighbors: {own.id: 1.0},
        lambda own, neighbors: {n.id: float("nan") for n in neighbors},
        lambda own, neighbors: {n.id: "much" for n in neighbors},
        lambda own, neighbors: 0.5,
    ):
        with pytest.raises(WeightsError, match="must give device 0 finite weights by the ids"):
            mixing_matrix(graph, FunctionRule(function))


def test_rules_that_may_depend_on_samples() -> None:
    assert not needs_samples(Metropolis())
    assert all(map(needs_samples, (Deaf(), Fixed(0.1), WEIGHTS.make("data-size"))))


def test_what_cannot_travel_is_described_alike_in_every_process() -> None:
    told = Options(weights=lambda own, neighbors: {}, links=All((Perfect(), Plain()))).described()
    assert told["weights"].startswith("test_travel.test_what_cannot_travel_is_described")
    assert told["weights"].endswith("<lambda>")
    assert told["links"] == "perfect+own_things.Plain"
    assert (
        Options(weights=local_rule()).described()["weights"]
        == "test_travel.local_rule.<locals>.Local"
    )
    assert Options(seed=3).described() == Options(seed=3).to_config()
