"""Devices that lie at the start: claims are compared with models, and with what is plausible."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from p2pl_flower.algorithms.max_norm import bound_of
from p2pl_flower.device.device import CANDIDATES, Device
from p2pl_flower.options import Options
from p2pl_flower.relay import MemoryRelay, Slot
from p2pl_flower.relay.contents import MODEL
from p2pl_flower.topology.neighborhood import neighborhood

RUN, LIAR = 1, 2


def draw(device: int, scale: float = 1.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(device)
    return {"w": scale * rng.normal(size=(20, 20)), "b": scale * rng.normal(size=20)}


def norm(device: int) -> float:
    return float(np.sqrt(sum((a**2).sum() for a in draw(device).values())))


def devices(graph: nx.Graph, **options) -> list[Device]:
    relay = MemoryRelay()
    relay.open(RUN)
    relay.admit(RUN, {d: sorted(graph[d]) for d in graph})
    made = Options(**options)
    return [Device(*neighborhood(graph, d), relay.mailbox(RUN, d), made) for d in sorted(graph)]


def claim(liar: Device, step: int, norms, origins=(LIAR,)) -> None:
    entry = {"norms": np.array(norms), "origins": np.array(origins), "held": np.array(0)}
    liar.mailbox.publish(Slot(CANDIDATES, 0, step), entry)


def starts(everybody: list[Device], lie, bound=None, steps: int = 4) -> list[np.ndarray]:
    """Return what honest devices start from, where one claims what ``lie`` says."""
    for device in everybody:
        device.start(draw(device.me.id), bound=bound)
    for step in range(1, steps + 1):
        lie(everybody[LIAR], step - 1)
        for device in everybody:
            if device.me.id != LIAR:
                device.synchronize(step)
    return [d.model()["w"] for d in everybody if d.me.id != LIAR]


STRONGEST = max((d for d in range(5) if d != LIAR), key=norm)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300, 1e6, norm(LIAR) * 1.1])
def test_a_norm_that_the_model_has_not_is_refused(value: float, caplog) -> None:
    everybody = devices(nx.complete_graph(5))
    found = starts(everybody, lambda liar, step: claim(liar, step, [value]))
    assert all(np.array_equal(w, draw(STRONGEST)["w"]) for w in found)
    larger = np.isfinite(value) and value > norm(STRONGEST)
    assert ("devices [2] name norms that are not so" in caplog.text) == larger


@pytest.mark.parametrize(
    ("norms", "origins"),
    [([[9.0]], [2]), ([9.0, 9.0], [2, 2]), ([9.0], [2, 2]), ([9j], [2]), (["9"], [2])],
)
def test_what_is_no_claim_is_not_heard(norms, origins) -> None:
    everybody = devices(nx.complete_graph(5))
    found = starts(everybody, lambda liar, step: claim(liar, step, norms, origins))
    assert all(np.array_equal(w, draw(STRONGEST)["w"]) for w in found)


@pytest.mark.parametrize("held", [[0, 0], [0.5], ["x"]])
def test_a_claim_that_cannot_be_read_is_not_heard(held) -> None:
    def lie(liar: Device, step: int) -> None:
        entry = {"norms": np.array([9e9]), "origins": np.array([2]), "held": np.array(held)}
        liar.mailbox.publish(Slot(CANDIDATES, 0, step), entry if step else {"x": np.zeros(1)})

    found = starts(devices(nx.complete_graph(5)), lie)
    assert all(np.array_equal(w, draw(STRONGEST)["w"]) for w in found)


def large(liar: Device, step: int) -> None:
    """Hand over a model of the norm that is claimed: a hundred times what was drawn."""
    liar.mailbox.publish(Slot(MODEL, 0, 0), draw(LIAR, 100.0))
    claim(liar, step, [100 * norm(LIAR)])


def test_a_large_model_wins_but_where_norms_must_be_plausible() -> None:
    taken = starts(devices(nx.complete_graph(5)), large)
    assert all(np.array_equal(w, draw(LIAR, 100.0)["w"]) for w in taken)
    bound = bound_of(np.array([[norm(d)] for d in range(100, 108)]))
    kept = starts(devices(nx.complete_graph(5), init="bounded-norm"), large, bound)
    assert all(np.array_equal(w, draw(STRONGEST)["w"]) for w in kept)


def test_an_implausible_draw_of_ones_own_loses_too() -> None:
    everybody = devices(nx.path_graph(2), init="bounded-norm")
    everybody[0].start(draw(0, 50.0), bound=np.array([2 * norm(0)]))
    everybody[1].start(draw(1), bound=np.array([2 * norm(0)]))
    for device in everybody:
        device.synchronize(1)
    assert all(np.array_equal(d.model()["w"], draw(1)["w"]) for d in everybody)


def test_the_bound_is_far_above_honest_draws_and_near_in_units_of_norms() -> None:
    drawn = np.array([[norm(d)] for d in range(8)])
    bound = bound_of(drawn)
    honest = np.array([norm(d) for d in range(100, 1100)])
    assert (honest < bound).all()
    assert bound < 1.5 * honest.mean()
    assert bound_of(np.full((8, 1), 3.0)) == pytest.approx(3.0, rel=1e-5)
    by_hand = bound_of(np.array([[1.0, 5.0], [2.0, 4.0]]))
    assert by_hand == pytest.approx([5.0, 8.0], rel=1e-5)
