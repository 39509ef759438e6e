"""Flower's own mods: each works with P2PL, or is refused by name, however it is wrapped."""

from __future__ import annotations

import functools
import logging
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, Context, Message
from flwr.client import NumPyClient
from flwr.client import mod as legacy_mods
from flwr.clientapp import mod as mods
from local_grid import LocalGrid
from toy_app import START, device, make_app, run, values

from p2pl_flower import P2PL, MemoryRelay, PeerApp
from p2pl_flower.errors import ConfigError, P2PLError
from p2pl_flower.flower.unsupported import REFUSED_MODS

REFUSED = {
    "secagg_mod": legacy_mods.secagg_mod,
    "secaggplus_mod": legacy_mods.secaggplus_mod,
    "fixedclipping_mod": mods.fixedclipping_mod,
    "adaptiveclipping_mod": mods.adaptiveclipping_mod,
}


def hidden(mod: Any) -> Any:
    """Return a mod of the user's own that calls another one."""

    def own(message: Message, context: Context, call_next: Any) -> Message:
        return mod(message, context, call_next)

    return own


def wrapped(mod: Any) -> Any:
    @functools.wraps(mod)
    def own(*args: Any) -> Any:
        return mod(*args)

    return own


WRAPPINGS = {"plain": lambda mod: mod, "partial": functools.partial, "wraps": wrapped}


@pytest.mark.parametrize("name", REFUSED_MODS)
@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_what_can_be_seen_is_refused_before_training(name: str, wrapping: str) -> None:
    app, relay = make_app(mods=[WRAPPINGS[wrapping](REFUSED[name])])
    grid = LocalGrid(app, 3)
    with pytest.raises(ConfigError, match=f"mods='{name}': "):
        P2PL("ring", relay=relay).start(grid, START, 1)
    assert {kind for kind, _, _ in grid.log} == {"query.p2pl_join"}


@pytest.mark.parametrize("name", REFUSED_MODS)
def test_what_a_mod_calls_is_refused_in_the_first_round(name: str) -> None:
    app, relay = make_app(mods=[hidden(REFUSED[name])])
    said = (
        rf"device \d failed at train.p2pl: ConfigError: mods='{name}': .*{REFUSED_MODS[name][:30]}"
    )
    with pytest.raises(P2PLError, match=said):
        P2PL("ring", relay=relay).start(LocalGrid(app, 3), START, 1)


@pytest.mark.parametrize("mod", [mods.arrays_size_mod, mods.message_size_mod])
def test_mods_that_measure_change_nothing(mod: Any, caplog: pytest.LogCaptureFixture) -> None:
    plain, relay = make_app()
    _, expected = run(LocalGrid(plain, 3), relay, topology="ring")
    app, relay = make_app(mods=[mod])
    with caplog.at_level(logging.INFO, "flwr"):
        _, found = run(LocalGrid(app, 3), relay, topology="ring")
    assert values(found.arrays)["w"].tolist() == values(expected.arrays)["w"].tolist()


class Client(NumPyClient):
    """It goes halfway to its device's number."""

    def __init__(self, own: int) -> None:
        self.own = own

    def get_parameters(self, config: Any) -> Any:
        return [np.zeros(4)]

    def fit(self, parameters: Any, config: Any) -> Any:
        return [0.5 * (parameters[0] + self.own)], 1, {}

    def evaluate(self, parameters: Any, config: Any) -> Any:
        return float(np.ptp(parameters[0])), 1, {"accuracy": 0.5}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("noisy", [True, False])
def test_noise_of_the_older_local_dp_is_in_what_neighbors_receive(noisy: bool) -> None:
    relay = MemoryRelay()
    mod = legacy_mods.LocalDpMod(1.0, 1.0 if noisy else 0.0, 1.0, 1e-5)
    app = PeerApp(lambda context: Client(device(context)).to_client(), mods=[mod], relay=relay)
    start = {"topology": "complete", "weights": "uniform"}
    _, result = run(LocalGrid(app, 3), relay, 1, ArrayRecord([np.zeros(4)]), **start)
    [found] = values(result.arrays).values()
    assert np.ptp(found) > 1e-3 if noisy else np.ptp(found) == pytest.approx(0)
