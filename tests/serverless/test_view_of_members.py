"""Whom a device knows, and to whom it has links."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest

from p2pl_flower.serverless.membership import Joining, Membership
from p2pl_flower.serverless.peer import ServerlessPeer
from p2pl_flower.serverless.settings import Settings


def member(device: int = 0, known: dict[int, str] | None = None, **joining: Any) -> Membership:
    joining = {"links": 2, "view": 6, "patience": 3, **joining}
    return Membership(device, f"h{device}:1", known or {}, Joining(**joining), seed=1)


def greeting(device: int, links: list[int], known: list | None = None, **more: Any) -> dict:
    return {"address": f"h{device}:1", "links": links, "known": known or [], **more}


def test_a_list_that_is_fixed_stays() -> None:
    fixed = member(known={1: "h1:1"}, links=0)
    assert not fixed.changes
    assert fixed.card(1) == {}
    assert not fixed.hear(2, greeting(2, [0]), asked=False)
    assert fixed.hear(1, {}, asked=True)
    for number in range(1, 9):
        fixed.begin_round(number, silent={1}, out={1})
    assert fixed.linked == {1: "h1:1"}


def test_who_greets_gets_a_link_while_there_is_room() -> None:
    own = member()
    heard = [own.hear(j, greeting(j, [0]), asked=False) for j in range(1, 9)]
    assert heard == [True] * 6 + [False] * 2
    assert own.card(1)["links"] == [1, 2, 3, 4, 5, 6]


def test_a_link_is_there_when_both_ends_want_it() -> None:
    own = member(known={1: "h1:1"})
    assert own.hear(1, greeting(1, [0]), asked=True)
    assert not own.hear(1, greeting(1, [5, 6]), asked=True)
    assert own.linked == {}


def test_it_looks_for_others_in_place_of_who_is_silent() -> None:
    own = member(known={1: "h1:1", 2: "h2:1"})
    own.hear(1, greeting(1, [0], known=[[3, "h3:1", 0]]), asked=True)
    for number in (1, 2):
        own.begin_round(number, silent={2}, out=())
        assert set(own.linked) == {1, 2}
    own.begin_round(3, silent={2}, out=())
    assert own.linked == {1: "h1:1", 3: "h3:1"}


def test_who_was_given_up_comes_back_by_its_own_word_alone() -> None:
    own = member(known={1: "h1:1", 2: "h2:1"})
    for number in (1, 2, 3):
        own.begin_round(number, silent={2}, out=())
    own.begin_round(4, silent=(), out=())
    own.hear(1, greeting(1, [0], known=[[2, "h2:1", 3]]), asked=True)  # heard before that
    own.begin_round(5, silent=(), out=())
    assert set(own.linked) == {1}
    own.hear(1, greeting(1, [0], known=[[2, "new:1", 0]]), asked=True)  # heard after that
    own.begin_round(6, silent=(), out=())
    assert own.linked == {1: "h1:1", 2: "new:1"}


def test_who_leaves_is_no_neighbor_any_more() -> None:
    own = member(known={1: "h1:1"})
    assert not own.hear(1, greeting(1, [0], leaving=True), asked=False)
    own.begin_round(1, silent=(), out=())
    assert own.linked == {}


def test_an_answer_that_was_overtaken_links_nobody_again() -> None:
    own = member(known={1: "h1:1"})
    assert own.hear(1, greeting(1, [0], card=["a", 4]), asked=False)
    assert not own.hear(1, greeting(1, [0], card=["a", 6], leaving=True), asked=False)
    assert not own.hear(1, greeting(1, [0], card=["a", 5]), asked=True)  # said before it left
    assert own.linked == {}
    assert own.hear(1, greeting(1, [0], card=["b", 1]), asked=False)  # it was started again


def test_cards_are_numbered() -> None:
    own = member()
    (session, first), (again, second) = own.card(1)["card"], own.card(1)["card"]
    assert session == again != member().card(1)["card"][0]
    assert first < second


@pytest.mark.parametrize("card", [None, 3, [], ["a"], ["a", "b"], ["a", True], [{}, 1]])
def test_what_is_no_number_of_a_card_is_passed_over(card) -> None:
    assert member().hear(1, greeting(1, [0], card=card), asked=False)


def test_a_neighbor_moves() -> None:
    own = member(known={1: "h1:1"})
    own.hear(1, {**greeting(1, [0]), "address": "dial-out"}, asked=True)
    assert own.linked == {1: "dial-out"}
    own.hear(2, greeting(2, [0], known=[[1, "evil:1", 0]]), asked=False)
    assert own.linked[1] == "dial-out"  # it says itself where it is


def test_the_view_is_bounded_and_keeps_the_young() -> None:
    own = member(known={1: "h1:1"}, view=4)
    told = [[j, f"h{j}:1", j] for j in range(2, 18)]
    own.hear(1, greeting(1, [0], known=told), asked=True)
    assert set(own.places(99)) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize(
    "known",
    [
        "x",
        {"3": 1},
        [3],
        [[3]],
        [["3", "h:1", 0]],
        [[3, "nonsense", 0]],
        [[3, "h:1", -1]],
        [[3, "h:1", True]],
        [[-3, "h:1", 0]],
        [[10**30, "h:1", 0]],
        [[3, "h" * 400 + ":1", 0]],
        [[3, None, 0]],
        [[0, "me:1", 0]],
        [[3, "h:1", "0"]],
    ],
)
def test_what_is_no_entry_is_left_out(known) -> None:
    own = member(known={1: "h1:1"})
    own.hear(1, greeting(1, [0], known=known), asked=True)
    assert set(own.places()) == {0, 1}


def test_a_greeting_is_short() -> None:
    own = member(known={j: f"h{j}:1" for j in range(1, 40)}, view=64)
    assert len(own.linked) == 2  # of all those that it was told
    assert len(own.card(1)["known"]) == 8


def test_devices_that_come_one_after_the_other_are_one_small_world() -> None:
    """A simulation: device 0 lets one in in each round, and tells it of a few."""
    group = [member(0, links=3, view=12)]
    rng = np.random.default_rng(0)
    for number in range(1, 60):
        if len(group) < 40:
            k = len(group)
            group.append(member(k, group[0].places(), links=3, view=12))
        for k in rng.permutation(len(group)).tolist():
            group[k].begin_round(number, silent=(), out=())
            for j in list(group[k].linked):
                group[j].hear(k, group[k].card(number), asked=False)
                group[k].hear(j, group[j].card(number), asked=True)
    graph = nx.DiGraph((k, j) for k in range(40) for j in group[k].linked)
    assert all(k in group[j].linked for k, j in graph.edges)  # links have two ends
    degrees = [len(one.linked) for one in group]
    assert min(degrees) >= 3
    assert max(degrees) <= 9
    assert nx.diameter(graph) <= 6


@pytest.mark.parametrize("links", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_whoever_comes_finds_room(links, seed) -> None:
    group = [Membership(0, "h0:1", {}, Joining(links=links), seed)]
    for number in range(1, 40):
        joining, told = Joining(links=links), group[0].places()
        newcomer = Membership(number, f"h{number}:1", told, joining, seed)
        for attempt in range(1, 20):
            for j in list(newcomer.linked):
                group[j].hear(number, newcomer.card(number), asked=False)
                newcomer.hear(j, group[j].card(number), asked=True)
            if newcomer.linked:
                break
            newcomer.seek(attempt)
        assert newcomer.linked, f"device {number} has found nobody"
        group.append(newcomer)
        for own in group:
            own.begin_round(number, silent=(), out=())


def test_links_outlast_a_restart() -> None:
    own = member()
    own.hear(4, greeting(4, [0]), asked=False)
    again = member()
    again.restore(own.to_json())
    assert again.linked == {4: "h4:1"}


def test_absent_neighbors_are_greeted_beside_the_rounds_not_within_them(monkeypatch) -> None:
    values = {"device": 0, "num-devices": 3, "rounds": 9, "app": "numbers_app:peer_app"}
    values |= {"listen": "127.0.0.1:0", "insecure": True, "joining": {"links": 2}}
    places = {"1": "127.0.0.1:1", "2": "127.0.0.1:2"}
    peer = ServerlessPeer(Settings.of({**values, "neighbors": places}))
    try:
        greeted = []
        monkeypatch.setattr(peer._known, "meet", lambda seconds, whom: greeted.append(whom))
        peer.endpoint.unreachable.add(2)
        peer._known.change(1)
    finally:
        peer.close()
    assert greeted == [{1}]
