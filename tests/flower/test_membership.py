"""Who takes part: nodes that come late, and what is said of it."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable
from typing import Any

import pytest
from local_grid import LocalGrid
from toy_app import START, make_app, run

from p2pl_flower import P2PL
from p2pl_flower.errors import ConfigError
from p2pl_flower.flower import membership


class Arriving(LocalGrid):
    """A grid whose nodes connect one after the other, each some looks later."""

    def __init__(self, app: Any, num_nodes: int, looks: int) -> None:
        super().__init__(app, num_nodes)
        self._looks, self._seen = looks, itertools.count()

    def get_node_ids(self) -> Iterable[int]:
        return list(self.contexts)[: 2 + next(self._seen) // self._looks]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a tenth of a second do for what takes ten in a deployment."""
    monkeypatch.setattr(membership, "SETTLED_SECONDS", 0.1)
    monkeypatch.setattr(membership, "_POLL_SECONDS", 0.01)


def trained(grid: LocalGrid) -> list[int]:
    return sorted({d for k, d, _ in grid.log if k == "train.p2pl"})


@pytest.mark.usefixtures("quick")
def test_a_node_that_is_a_moment_late_takes_part(caplog: pytest.LogCaptureFixture) -> None:
    app, relay = make_app()
    grid = Arriving(app, 4, looks=3)
    with caplog.at_level(logging.INFO, "flwr.p2pl"):
        P2PL("ring", relay=relay, connect_timeout=30).start(grid, START, 1)
    assert trained(grid) == [0, 1, 2, 3]
    assert "Devices: 4" in caplog.text


@pytest.mark.usefixtures("quick")
def test_a_node_that_is_too_late_is_named(caplog: pytest.LogCaptureFixture) -> None:
    app, relay = make_app()
    run(Arriving(app, 3, looks=20), relay, rounds=40, topology="ring")
    late = [m for m in caplog.messages if "connected after the start and take no part" in m]
    assert late == [
        "1 node(s) connected after the start and take no part: give num_devices, and P2PL waits "
        "for all"
    ]


def test_a_number_that_is_given_is_waited_for() -> None:
    app, relay = make_app()
    grid = Arriving(app, 3, looks=2)
    strategy = P2PL("ring", relay=relay, num_devices=3, connect_timeout=30)
    strategy.start(grid, START, 1)
    assert trained(grid) == [0, 1, 2]
    with pytest.raises(ConfigError, match="num-devices=4: must be at most the number of SuperNo"):
        run(Arriving(app, 3, looks=1), relay, num_devices=4)
