"""The keys that the package declares: what they mean, and that all places have the same."""

from __future__ import annotations

import inspect
from dataclasses import fields

import pytest

from p2pl_flower import P2PL, Options
from p2pl_flower.config import REQUIRED, declared, keys
from p2pl_flower.relay.grpc import Waiting
from p2pl_flower.serverless.settings import Settings
from p2pl_flower.swarm import Job, Machine, TrainOptions
from simulations.scenario import Scenario


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
        "clock",
        "options",
        "joining",
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
