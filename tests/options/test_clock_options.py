"""What a clock is given, and what it makes of rounds."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from p2pl_flower import P2PL
from p2pl_flower.errors import ConfigError
from p2pl_flower.links.clock import NoNetwork, Rates, Step
from p2pl_flower.options import Clock, Timing, step_of, transmitted


def test_a_name_is_a_clock_and_none_is_no_clock() -> None:
    assert isinstance(Clock.of(None).network, NoNetwork)
    assert Timing.of(Clock.of(None), 3, 10) is None
    made = Clock.of("rates:up=1,down=2,spread=1", seed=7)
    assert made.network == Rates(1.0, 2.0, spread=1.0, seed=7)
    assert Clock.of(made, epochs=3).epochs == 3
    assert Clock.of(Clock("wifi", epochs=5)).epochs == 5
    with pytest.raises(ConfigError, match="must be a Clock"):
        Clock.of(3)
    with pytest.raises(ConfigError, match="unknown name"):
        Clock("wlan")
    with pytest.raises(ConfigError, match="operations"):
        Timing.of(Clock("wifi"), 3, 0)


def test_operations_are_six_for_each_number_unless_given() -> None:
    one = np.array([0])
    for clock, expected in (
        (Clock("wifi", epochs=2), 8 * 2 * 600),
        (Clock("wifi", operations=5.0), 40),
    ):
        timing = Timing.of(clock, 1, 100)
        assert timing.operations_of(one, [8]).tolist() == [expected]


def test_what_got_lost_was_sent_as_large_as_the_rest() -> None:
    ends = np.array([0, 0, 1, 2]), np.array([1, 2, 0, 0])
    step = Step(*ends, np.array([True, False, True, False]), np.full(4, np.nan))
    assert transmitted([step], [10, 30, 0]) == 10 + 10 + 30 + 20  # 2's one message: as the others'
    assert transmitted([], [0, 0, 0]) == 0


def test_distances_are_those_of_the_graph() -> None:
    graph = nx.path_graph(2)
    ends = np.array([0]), np.array([1]), np.array([True])
    assert np.isnan(step_of(graph, *ends).distance).all()
    nx.set_node_attributes(graph, {0: (0.0, 0.0), 1: (0.3, 0.4)}, "pos")
    assert step_of(graph, *ends).distance == pytest.approx([0.5])


def test_flowers_server_drives_rounds() -> None:
    with pytest.raises(ConfigError, match="nobody drives"):
        P2PL("ring", mode="async")
