"""Relays by name, by path, as objects and as functions."""

from __future__ import annotations

import pytest
from local_grid import LocalGrid
from toy_app import START, add_functions

from p2pl_flower import (
    P2PL,
    AutoRelay,
    ConfigError,
    FileRelay,
    GrpcRelay,
    MemoryRelay,
    PeerApp,
    RayRelay,
    Relay,
)
from p2pl_flower.relay import make_relay
from simulations.scenario import Scenario
from simulations.swarm_engine import make_swarm
from strategies import contender


class OneForAll(MemoryRelay):
    """The same one, whoever makes it."""

    _only: OneForAll | None = None

    def __new__(cls) -> OneForAll:
        cls._only = cls._only or super().__new__(cls)
        return cls._only

    def __init__(self) -> None:
        if not hasattr(self, "_entries"):
            super().__init__()


def test_names_make_relays(tmp_path) -> None:
    kinds = {"auto": AutoRelay, "file": FileRelay, "ray": RayRelay, "grpc": GrpcRelay}
    for name, kind in kinds.items():
        assert type(make_relay(name)) is kind
    assert type(make_relay(None)) is AutoRelay
    relay = make_relay(f"file:folder={tmp_path}")
    relay.open(1)
    assert len(list(tmp_path.iterdir())) == 1
    relay.close(1)
    given = MemoryRelay()
    assert make_relay(given) is given


@pytest.mark.parametrize("given", ["memory", "pigeon", "file:speed=3", object(), 3])
def test_what_is_no_relay_is_refused_where_it_was_given(given) -> None:
    for make in (make_relay, lambda r: P2PL("ring", relay=r), lambda r: PeerApp(relay=r)):
        with pytest.raises(ConfigError, match="relay="):
            make(given)


def test_a_relay_is_found_by_its_path() -> None:
    path = f"{__name__}.OneForAll"
    app = PeerApp(relay=path)
    add_functions(app)
    strategy = P2PL("ring", relay=path)
    strategy.start(LocalGrid(app, 3), START, 2)
    assert len(strategy.rounds) == 2


def test_a_function_gives_each_device_its_relay() -> None:
    relay, asked = MemoryRelay(), []

    def of(context) -> Relay:
        asked.append(context.node_config["partition-id"])
        return relay

    app = PeerApp(relay=of)
    add_functions(app)
    P2PL("ring", relay=relay).start(LocalGrid(app, 3), START, 1)
    assert set(asked) == {0, 1, 2}


def test_a_scenario_names_its_relay() -> None:
    with pytest.raises(ConfigError, match="relay='pigeon'"):
        Scenario.of({"relay": "pigeon"})
    scenario = Scenario.of({"relay": "ray", "num-devices": 4, "topology": "ring"})
    with pytest.raises(ConfigError, match="relay='ray': is for Flower's engine"):
        make_swarm(scenario, contender("p2pl"), lambda *_: None)
