"""Strategies and arguments of people's own that cannot work are told so in one sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord
from flwr.serverapp import strategy as flowers
from local_grid import LocalGrid
from toy_app import START, make_app, record, run, values

from p2pl_flower import P2PL
from p2pl_flower.errors import ConfigError, DeviceError


class OwnAttributes(P2PL):
    """It keeps its own score, under names that P2PL has too."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.rounds: Any = []
        self.train_metrics: Any = {}
        self.evaluate_metrics: Any = {}
        self.setup: Any = "mine"
        self._run, self._plan = "wandb's", "mine"

    def aggregate_train(self, server_round: int, replies: Any) -> Any:
        self.rounds.append(server_round)
        return super().aggregate_train(server_round, replies)


def test_attributes_of_ones_own_hide_p2pls() -> None:
    app, relay = make_app()
    strategy = OwnAttributes("ring", relay=relay)
    result = strategy.start(LocalGrid(app, 3), START, 2)
    assert (strategy.rounds, strategy.setup, strategy._run) == ([1, 2], "mine", "wandb's")
    app, relay = make_app()
    _, expected = run(LocalGrid(app, 3), relay, topology="ring")
    assert values(result.arrays)["w"] == pytest.approx(values(expected.arrays)["w"])


@pytest.mark.parametrize("name", ["FedAdam", "FedProx", "Krum", "FedAvg"])
@pytest.mark.parametrize("first", [True, False])
def test_flowers_strategies_beside_p2pl_are_refused(name: str, first: bool) -> None:
    other = getattr(flowers, name)
    bases = (P2PL, other) if first else (other, P2PL)
    with pytest.raises(
        ConfigError, match=r"strategy='Both': derives from P2PL and from (Fed|Krum)"
    ):
        type("Both", bases, {})


@pytest.mark.parametrize("attribute", [None, "options", "relay"])
def test_a_strategy_whose_init_is_not_called(attribute: str | None) -> None:
    class Unmade(P2PL):
        def __init__(self) -> None:
            if attribute is not None:
                super().__init__("ring")
                setattr(self, attribute, {"lr": 0.1})

    app, _ = make_app()
    with pytest.raises(ConfigError, match=r"'Unmade': its __init__ must call super\(\).__init__"):
        Unmade().start(LocalGrid(app, 3), START, 1)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"arrayrecord_key": "p2pl"}, "arrayrecord_key='p2pl': is the name of a record of P2PL's"),
        ({"configrecord_key": "p2pl-evaluate-config"}, "configrecord_key='p2pl-evaluate-config'"),
        ({"arrayrecord_key": "config"}, "configrecord_key='config': must differ from arrayrecor"),
        ({"min_available_nodes": 9}, "min-available-nodes=9: must be at most the number of Super"),
    ],
)
def test_arguments_are_named(options: dict[str, Any], text: str) -> None:
    app, relay = make_app()
    with pytest.raises(ConfigError, match=text):
        run(LocalGrid(app, 3), relay, topology="ring", **options)


@pytest.mark.parametrize("given", [None, {"w": np.zeros(2)}])
def test_initial_arrays_that_are_no_record(given: Any) -> None:
    app, relay = make_app()
    # some versions of flwr look into what they are given before they call the strategy
    with pytest.raises(ConfigError, match=r"initial_arrays='(NoneType|dict)': must be an ArrayRec"):
        P2PL("ring", relay=relay).start(LocalGrid(app, 3), given, 1)


@pytest.mark.parametrize("drawn", [None, {"w": np.zeros(2)}])
def test_an_init_function_that_returns_no_record(drawn: Any) -> None:
    app, relay = make_app()
    app.init()(lambda context, seed: drawn)
    with pytest.raises(DeviceError, match=r"the init function returned .*, and must return an Arr"):
        run(LocalGrid(app, 3), relay, topology="ring")


@pytest.mark.parametrize("name", ["~w", "+w", "__metadata__"])
def test_names_of_arrays_that_mean_something(name: str) -> None:
    app, relay = make_app()
    start = record({**values(START), name: np.ones(2)})
    with pytest.raises(DeviceError, match="mean something in what devices publish"):
        run(LocalGrid(app, 3), relay, initial=start, topology="ring")


def test_another_byte_order_is_this_machines() -> None:
    app, relay = make_app()
    start = ArrayRecord({**START, "w": Array(np.zeros(2, ">f8"))})
    _, result = run(LocalGrid(app, 3), relay, initial=start, topology="ring")
    assert values(result.arrays)["w"] == pytest.approx([0.75] * 2)
