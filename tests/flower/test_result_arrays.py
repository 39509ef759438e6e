"""Which arrays a run ends with, where models are in one place and where they are not."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from local_grid import LocalGrid
from test_strategy import by_hand, nx
from toy_app import START, make_app, record, values

from p2pl_flower import P2PL, MemoryRelay
from p2pl_flower.errors import ConfigError

STAR = nx.star_graph(3)


class Opaque(MemoryRelay):
    """A relay whose models lie on other machines."""

    observable = False


def play(relay: MemoryRelay, result: str, **options):
    app, _ = make_app()
    app._relay = relay
    grid = LocalGrid(app, 4)
    strategy = P2PL(
        "star", relay=relay, result=result, weights="uniform", connect_timeout=0.1, **options
    )
    start = record({"w": np.zeros(2), "steps": np.array(0), "b": np.array(9.0)})
    return strategy.start(grid, start, 2), grid


@pytest.mark.parametrize("relay", [MemoryRelay, Opaque])
@pytest.mark.parametrize("steps", [0, 1, 2])
@pytest.mark.parametrize("evaluate_every", [0, 1])
def test_what_is_asked_for_is_what_there_is(
    relay: type[MemoryRelay], steps: int, evaluate_every: int
) -> None:
    expected = by_hand(STAR, 2, steps, weights="uniform")
    options = {"consensus_steps": steps, "evaluate_every": evaluate_every}
    for result, found in (("mean", expected.mean()), ("device:0", expected[0])):
        made, _ = play(relay(), result, **options)
        assert values(made.arrays)["w"] == pytest.approx([found] * 2)
    made, _ = play(relay(), "device:3", **options)
    assert values(made.arrays)["w"] == pytest.approx([expected[3]] * 2)
    made, _ = play(relay(), "none", **options)
    assert len(made.arrays) == 0


@pytest.mark.parametrize("relay", [MemoryRelay, Opaque])
def test_arrays_that_stay_at_home_do_not_come_out(relay: type[MemoryRelay]) -> None:
    for result in ("mean", "device:1"):
        made, grid = play(relay(), result, shared="w")
        assert values(made.arrays)["b"] == 9.0
        assert list(made.arrays) == ["w", "steps", "b"]
        sent = [set(r) for m in grid.replies for r in m.content.array_records.values()]
        assert all(names == {"w"} for names in sent)


def test_devices_are_asked_once_and_by_choice_alone(caplog: pytest.LogCaptureFixture) -> None:
    def asked(grid: LocalGrid) -> list[int]:
        return sorted(d for k, d, _ in grid.log if k == "query.p2pl_model")

    with caplog.at_level(logging.INFO, "flwr.p2pl"):
        made, grid = play(Opaque(), "auto")
    assert len(made.arrays) == 0
    assert asked(grid) == []
    assert 'P2PL(result="mean")' in caplog.text
    assert asked(play(Opaque(), "mean")[1]) == [0, 1, 2, 3]
    assert asked(play(Opaque(), "device:2")[1]) == [2]
    assert asked(play(MemoryRelay(), "mean")[1]) == []


@pytest.mark.parametrize("relay", [MemoryRelay, Opaque])
def test_other_words_and_devices_are_refused(relay: type[MemoryRelay]) -> None:
    with pytest.raises(ConfigError, match="result='best': unknown name; choose one of: auto, mea"):
        P2PL("ring", result="best")
    with pytest.raises(ConfigError, match="result='device:4': there is no model of this device"):
        play(relay(), "device:4")


def test_no_rounds() -> None:
    app, relay = make_app()
    result = P2PL("ring", relay=relay).start(LocalGrid(app, 3), START, 0)
    assert values(result.arrays)["w"].tolist() == [0, 0]
