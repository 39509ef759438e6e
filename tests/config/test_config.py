"""One declaration of an option: what it takes, from wherever it is given."""

from __future__ import annotations

import argparse
import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import pytest

from p2pl_flower import P2PL, MemoryRelay, Options
from p2pl_flower.algorithms.p2pl_affinity import P2PLAffinity
from p2pl_flower.config import (
    REQUIRED,
    Option,
    add_argument,
    at_least,
    build,
    change,
    check_fields,
    declared,
    described,
    group,
    keys,
    one_of,
    option,
    read_toml,
    rows,
    take,
    within,
)
from p2pl_flower.errors import ConfigError, TopologyError
from p2pl_flower.links import Bernoulli, Churn, GilbertElliott, Periodic
from p2pl_flower.relay.grpc import Waiting
from p2pl_flower.serverless.settings import Settings
from p2pl_flower.swarm import Averaging, Job, Machine, TrainOptions
from p2pl_flower.topology import (
    OnePeerExponential,
    RandomMatchings,
    RandomWaypoint,
    erdos_renyi,
    random_geometric,
    regular,
    ring,
    scale_free,
    schedule,
    small_world,
    torus,
)
from simulations.scenario import Scenario

COLOR = Option("its color", one_of("red", "blue"), default="red", name="color", kind=str)


@described
@dataclass(frozen=True)
class Lid:
    """What closes a box."""

    thick: float = option(1.0, rule=within("(0, 2]", "cm"), help="how thick")
    color: str = COLOR.field("blue")


@described
@dataclass(frozen=True)
class Box:
    """A box."""

    size: int = option(rule=at_least(1), help="how large")
    lid: Lid = group(Lid, table="lid", thick=0.5)
    heavy: bool = option(False, help="whether it is heavy")
    limit: int | None = option(None, help="most that it holds")
    color: str = COLOR.field()
    labels: Mapping[str, object] = option({}, kind=dict, help="what is written on it")

    def __post_init__(self) -> None:
        check_fields(self)


@pytest.mark.parametrize(
    ("value", "kind", "made"),
    [
        (3, int, 3),
        (np.int64(3), int, 3),
        (np.uint8(3), int, 3),
        (3, float, 3.0),
        (np.int32(3), float, 3.0),
        (np.float32(0.5), float, 0.5),
        (np.float64(0.5), float, 0.5),
        (np.longdouble(0.5), float, 0.5),
        (math.inf, float, math.inf),
        (np.str_("a"), str, "a"),
        (np.bool_(True), bool, True),
        ({"a": np.int64(1), "b": "x"}, dict, {"a": 1, "b": "x"}),
    ],
)
def test_values_become_pythons_own(value, kind, made) -> None:
    got = take("key", value, kind)
    assert got == made
    assert type(got) is kind


@pytest.mark.parametrize(
    ("value", "kind", "complaint"),
    [
        (True, int, "key=True: must be an integer"),
        (np.bool_(True), int, "key=True: must be an integer"),
        (2.0, int, "key=2.0: must be an integer"),
        (np.float64(2), int, "key=2.0: must be an integer"),
        ("2", int, "key='2': must be an integer"),
        (None, int, "key=None: must be an integer"),
        (math.nan, float, "key=nan: must be a number"),
        (np.float32("nan"), float, "key=nan: must be a number"),
        (10**400, float, "must be a number"),
        (False, float, "key=False: must be a number"),
        (1, bool, "key=1: must be true or false"),
        (1, str, "key=1: must be a text"),
        (np.array([1]), int, "must be an integer"),
        ([1], dict, "key=[1]: must be a table: [key]"),
        ({"a": [1]}, dict, "key.a=[1]: must be a text, a number or true or false"),
    ],
)
def test_other_types_are_refused(value, kind, complaint) -> None:
    with pytest.raises(ConfigError) as caught:
        take("key", value, kind)
    assert complaint in str(caught.value)


def test_rules() -> None:
    for interval, inside, outside in (
        ("(0, 1]", (1e-300, 1), (0, 1.5, -1)),
        ("[0, inf)", (0, 1e300), (-1e-300, math.inf)),
        ("(0, inf]", (1, math.inf), (0,)),
    ):
        rule = within(interval)
        assert all(rule.holds(x) for x in inside)
        assert not any(rule.holds(x) for x in outside)
    with pytest.raises(TopologyError, match=r"^p=2: must be in \(0, 1\] \(share\)$"):
        take("p", 2, float, within("(0, 1]", "share"), TopologyError)
    with pytest.raises(ConfigError, match=r"^k=2.5: must be an integer of at least 1$"):
        take("k", 2.5, int, at_least(1))
    with pytest.raises(ConfigError, match=r"^c='x': unknown name; choose one of: a, b$"):
        take("c", "x", str, one_of("a", "b"))


def test_a_class_is_made_from_flat_keys() -> None:
    assert list(keys(Box)) == [
        "size",
        "lid.thick",
        "lid.color",
        "heavy",
        "limit",
        "color",
        "labels",
    ]
    assert build(Box, {"size": 3}) == Box(3, Lid(0.5, "blue"))
    made = build(Box, {"size": np.int64(3), "lid": {"thick": 2}, "labels": {"a": 1}})
    assert made == Box(3, Lid(2.0, "blue"), labels={"a": 1})
    assert type(made.size) is int
    assert type(made.lid.thick) is float
    assert build(Box, {"size": 1, "lid.thick": 2}) == build(Box, {"size": 1, "lid": {"thick": 2}})
    assert Box(np.int64(3), limit=np.int8(4)) == Box(3, limit=4)
    assert Box(1, limit=None).limit is None


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({}, "size=None: must be given"),
        ({"size": 0}, "size=0: must be at least 1"),
        ({"size": 1, "shape": 2}, "shape=2: unknown key; choose one of: color, heavy, labels, lid"),
        ({"size": 1, "lid": 3}, "lid=3: must be a table"),
        ({"size": 1, "lid": {"shape": 2}}, "lid.shape=2: unknown key; choose one of: thick, color"),
        ({"size": 1, "lid": {"thick": 3}}, "lid.thick=3: must be in (0, 2] (cm)"),
        ({"size": 1, "color": "green"}, "color='green': unknown name; choose one of: red, blue"),
        ({"size": 1, "limit": None}, ""),
    ],
)
def test_bad_keys_are_named(values, complaint) -> None:
    if not complaint:
        assert build(Box, values).limit is None
        return
    with pytest.raises(ConfigError) as caught:
        build(Box, values)
    assert str(caught.value).startswith(complaint)


def test_settings_are_toml_or_plain_text() -> None:
    settings = [
        "rounds=3",
        "learning-rate = 0.1",
        "topology=regular:d=4",
        'data-dir="a b"',
        "a.b=1",
    ]
    parsed = {"rounds": 3, "learning-rate": 0.1, "topology": "regular:d=4", "data-dir": "a b"}
    assert change({}, settings) == {**parsed, "a": {"b": 1}}
    assert change({"a": {"c": 2}, "d": 1}, ["a.b=x", "d=yes"]) == {
        "a": {"c": 2, "b": "x"},
        "d": "yes",
    }
    for bad, complaint in (("rounds", "key=value"), ("d.x=1", "d is no table")):
        with pytest.raises(ConfigError, match=complaint):
            change({"d": 1}, [bad])


def test_files(tmp_path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("a = 1")
    assert read_toml("file", path) == {"a": 1}
    path.write_bytes(b"a = '\xff'")
    with pytest.raises(ConfigError, match=r"file='.*a\.toml': is not valid TOML"):
        read_toml("file", path)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_toml("file", tmp_path / "b.toml")


def test_tables_and_docstrings_are_made_from_the_declarations() -> None:
    header, size, thick, lid_color, heavy, limit, color, labels = rows(Box)
    assert header == ("key", "default", "meaning")
    assert size == ("`size`", "required", "how large")
    assert thick == ("`lid.thick`", "`0.5`", "how thick")
    assert lid_color == ("`lid.color`", "`blue`", "its color: `red`, `blue`")
    assert [row[1] for row in (heavy, limit, color, labels)] == ["`false`", "", "`red`", ""]
    assert "size : int\n    how large\n" in Box.__doc__
    assert Box.__doc__.startswith("A box.\n\nAttributes\n")


def test_command_lines_are_made_from_the_declarations(capsys) -> None:
    parser = argparse.ArgumentParser()
    for known in keys(Box).values():
        if known.kind is not dict:
            add_argument(parser, known)
    parsed = vars(parser.parse_args(["--size=3", "--heavy", "--lid.thick=2"]))
    assert parsed == {"size": 3, "lid.thick": 2.0, "lid.color": "blue", "heavy": True} | {
        "limit": None,
        "color": "red",
    }
    with pytest.raises(SystemExit):
        parser.parse_args([])
    assert "--size" in capsys.readouterr().err


def swarm_job(**options) -> Job:
    return Job(lambda: None, [], None, **{"rounds": 1, **options})


NUMBERS = [  # what makes it, the option's name, an integer or a number that is fine
    *((Options, name, 1) for name in ("consensus_steps", "seed")),
    *((Options, name, 0.5) for name in ("consensus_gamma",)),
    *((TrainOptions, name, 2) for name in ("local_epochs", "batch_size")),
    *((TrainOptions, n, 0.5) for n in ("learning_rate", "momentum", "learning_rate_decay")),
    *((Machine, name, 2) for name in ("chunk", "workers")),
    *((swarm_job, name, 2) for name in ("rounds", "evaluate_every", "checkpoint_every")),
    *((lambda **o: P2PL(relay=MemoryRelay(), **o), name, 2)
      for name in ("evaluate_every", "num_devices", "min_available_nodes", "seed")),
    (lambda **o: P2PL(relay=MemoryRelay(), **o), "connect_timeout", 0.5),
    (Waiting, "quorum", 2),
    *((Waiting, name, 0.5) for name in ("deadline", "grace")),
    (P2PLAffinity, "strength", 0.25),
    (lambda **o: Averaging([1, 2], **o), "fraction", 0.5),
    (Bernoulli, "up_rate", 0.5),
    (lambda **o: Bernoulli(0.5, **o), "seed", 3),
    (Periodic, "every", 2),
    *((lambda **o: GilbertElliott(**{"up_rate": 0.5, **o}), name, 0.5)
      for name in ("up_rate", "loss_good", "loss_bad")),
    (lambda **o: Churn(**{"away": 0.5, **o}), "away", 0.25),
    (lambda **o: Churn(**{"away": 0.5, **o}), "absence", 4.5),
    *((lambda f=f, **o: f(**{"n": 8, **o}), "n", 6)
      for f in (ring, torus, OnePeerExponential, RandomMatchings)),
    (lambda **o: torus(8, **o), "rows", 2),
    (lambda **o: regular(8, **o), "d", 4),
    (lambda **o: small_world(8, p=0.5, **o), "k", 4),
    (lambda **o: small_world(8, 4, **o), "p", 0.5),
    (lambda **o: scale_free(8, **o), "m", 2),
    (lambda **o: erdos_renyi(8, **o), "p", 0.75),
    (lambda **o: erdos_renyi(8, 0.75, **o), "seed", 3),
    (lambda **o: random_geometric(8, **o), "radius", 0.75),
    *((lambda **o: RandomWaypoint(**{"n": 4, "radius": 0.5, "speed": 0.1, **o}), name, 0.5)
      for name in ("radius", "speed", "pause")),
    (lambda **o: schedule("ring", 4, **o), "seed", 3),
]  # fmt: skip


@pytest.mark.parametrize(("make", "name", "value"), NUMBERS)
def test_numbers_of_numpy_are_numbers_and_truths_and_nan_are_none(make, name, value) -> None:
    kinds = (np.int64, np.int32, np.uint8) if type(value) is int else (np.float32, np.float64)
    for kind in kinds:
        made, plain = make(**{name: kind(value)}), make(**{name: value})
        kept, expected = getattr(made, name, None), getattr(plain, name, None)
        assert kept == expected
        assert type(kept) is type(expected)
    wrong = [True, np.bool_(True), "1", math.nan, np.float32("nan"), -1]
    for bad in (*wrong, 2.5) if type(value) is int else wrong:
        with pytest.raises(ConfigError):
            make(**{name: bad})


def test_texts_and_truths_of_numpy() -> None:
    assert Options(weights=np.str_("uniform"), init=np.str_("shared")) == Options(
        weights="uniform", init="shared"
    )
    assert swarm_job(evaluate_trained=np.bool_(False)).evaluate_trained is False
    with pytest.raises(ConfigError, match="evaluate-trained=1: must be true or false"):
        P2PL(evaluate_trained=1, relay=MemoryRelay())


@pytest.mark.parametrize("value", [-1, 2.5, True, "1"])
def test_evaluate_every_is_refused_alike(value) -> None:
    good = {"device": 0, "num-devices": 2, "listen": "h:1", "app": "a:b", "rounds": 1}
    good |= {"neighbors": {"1": "h:2"}, "insecure": True}
    for make in (
        lambda: P2PL(evaluate_every=value, relay=MemoryRelay()),
        lambda: swarm_job(evaluate_every=value),
        lambda: Settings.of({**good, "evaluate-every": value}),
        lambda: Scenario.of({"evaluate-every": value}),
    ):
        with pytest.raises(ConfigError, match=f"^evaluate-every={value!r}: must be "):
            make()


def test_the_strategys_arguments_are_the_options() -> None:
    parameters = inspect.signature(P2PL).parameters
    for name, known in declared(Options).items():
        assert parameters[name].default == known.default
    for known in (o for o in keys(Job).values() if o.name.startswith("evaluate")):
        name = known.name.replace("-", "_")
        assert name == "evaluate_precision" or parameters[name].default == known.default


@pytest.mark.parametrize("kind", [Options, TrainOptions, Machine, Waiting, Settings, Scenario])
def test_every_key_says_what_it_means(kind) -> None:
    known = keys(kind)
    assert len(known) >= 3
    assert all(o.help and not o.help.endswith(".") for o in known.values())
    own = {f.name for f in fields(kind)} - set(declared(kind))
    assert own <= {
        "options",
        "training",
        "waiting",
        "flat",
        "matrix",
        "transform",
    }
    for key, o in known.items():
        if o.default is not REQUIRED and not (o.converted or o.kind is dict):
            assert o.take(o.default) == o.default, key


def test_names_in_help_are_those_of_the_tables() -> None:
    from p2pl_flower.links import LINKS
    from p2pl_flower.topology import TOPOLOGIES
    from p2pl_flower.weights import WEIGHTS
    from simulations.datasets import DATASETS
    from simulations.models import MODELS
    from simulations.partition import SCHEMES
    from strategies import contenders

    known = keys(Scenario)
    for key, names in (
        ("topology", TOPOLOGIES.entries),
        ("links", LINKS.entries),
        ("weights", WEIGHTS.entries),
        ("partition", SCHEMES.entries),
        ("model", MODELS.entries),
        ("dataset", DATASETS.entries),
        ("contenders", contenders()),
    ):
        for name in names:
            assert f"`{name}`" in known[key].help or f"`{name}:" in known[key].help, (key, name)
