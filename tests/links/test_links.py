import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pl_flower.config import text_of
from p2pl_flower.errors import ConfigError
from p2pl_flower.links import (
    LINKS,
    All,
    Bernoulli,
    Churn,
    GilbertElliott,
    Outage,
    Perfect,
    Periodic,
)
from p2pl_flower.seeding import Stream, uniform

EVERY = [
    ("perfect", Perfect()),
    ("periodic", Periodic(3)),
    ("bernoulli", Bernoulli(0.6, seed=3)),
    ("gilbert-elliott", GilbertElliott(0.7, burst=3, seed=3)),
    ("gilbert-elliott", GilbertElliott(0.5, 1.2, loss_good=0.1, loss_bad=0.7, seed=3)),
    ("churn", Churn(0.2, absence=4, seed=3)),
    ("outage", Outage(2, 4, 0.5, seed=3)),
    ("all", All((Bernoulli(0.6, seed=3), Churn(0.2, seed=3)))),
    ("all", All((GilbertElliott(0.6, seed=3), GilbertElliott(0.8, burst=9, seed=4)))),
]
every = pytest.mark.parametrize(("name", "links"), EVERY)


@every
def test_symmetric_and_reproducible(name, links):
    i, j = np.arange(30)[:, np.newaxis], np.arange(30)[np.newaxis]
    for r, step in ((0, 0), (1, 2), (17, 0)):
        up = links.up(i, j, r, step)
        assert up.shape == (30, 30)
        assert up.dtype == np.bool_
        assert np.array_equal(up, up.T)
        assert np.array_equal(up, links.up(i, j, r, step))


@every
def test_one_link_is_the_array_at_that_place(name, links):
    j = np.arange(1, 9)
    assert links.up(0, 1, 4, 0).shape == ()
    assert isinstance(bool(links.up(0, 1, 4, 0)), bool)
    one_by_one = [bool(links.up(0, int(k), 4, 2)) for k in j]
    assert links.up(0, j, 4, 2).tolist() == one_by_one
    assert links.up(0, j, np.full(8, 4), np.full((3, 1), 2)).tolist() == [one_by_one] * 3


@every
def test_a_device_that_is_away_has_no_link_up(name, links):
    i, rounds = np.arange(20), np.arange(40)[:, np.newaxis]
    present = links.present(i, rounds)
    assert present.shape == (40, 20)
    assert present.dtype == np.bool_
    assert links.present(3, 5).shape == ()
    up = links.up(i, 20, rounds, 0)
    assert not (up & ~(present & links.present(20, rounds))).any()


@every
def test_text_builds_an_equal_object_whatever_the_seed_given(name, links):
    text = text_of(links, LINKS)
    assert LINKS.of(text, seed=99) == links
    assert LINKS.of(links, seed=99) is links
    assert name in text or name == "all"


def test_every_name_of_the_table_is_tested():
    assert set(LINKS.entries) == {name for name, _ in EVERY} - {"all"}


def test_periodic_links_are_up_in_every_third_round_and_before_the_first():
    rounds = np.arange(1, 8)
    assert Periodic(3).up(0, 1, rounds, 1).tolist() == [r in (3, 6) for r in rounds]
    assert Periodic(3).up(0, 1, rounds, 0).all()  # steps of synchronization
    assert Periodic(1).up(0, 1, rounds, 2).all()


def test_bernoulli_by_hand():
    link = Bernoulli(0.4, seed=5)
    for i, j, r, step in ((0, 1, 2, 3), (7, 4, 1, 0)):
        u = uniform(5, Stream.LOSS, min(i, j), max(i, j), r, step)
        assert bool(link.up(i, j, r, step)) == (u < 0.4)


@pytest.mark.parametrize(
    "links",
    [Bernoulli(0.5, seed=3, one_way=True), GilbertElliott(0.5, burst=2, seed=3, one_way=True)],
)
def test_directions_of_one_way_links_are_lost_apart(links):
    assert not links.symmetric
    assert not All((Perfect(), links)).symmetric
    i, j = np.triu_indices(60, k=1)
    up, back = links.up(i, j, 4, 2), links.up(j, i, 4, 2)
    assert (up & back).mean() == pytest.approx(0.25, abs=0.04)
    assert LINKS.of(text_of(links, LINKS)) == links
    both = dataclasses.replace(links, one_way=False)
    assert both.symmetric
    assert np.array_equal(both.up(j, i, 4, 2), up)


def test_bernoulli_is_independent_over_links_rounds_and_steps():
    i, j, r, step = np.ogrid[:8, 8:16, :40, :5]
    up = Bernoulli(0.3, seed=1).up(i, j, r, step)
    assert up.mean() == pytest.approx(0.3, abs=0.02)
    assert np.unique(up.reshape(64, -1), axis=0).shape[0] == 64
    centered = up - 0.3
    for axis in (2, 3):
        lagged = centered.take(range(1, up.shape[axis]), axis)
        assert abs((lagged * centered.take(range(up.shape[axis] - 1), axis)).mean()) < 0.01


def runs_of_false(state):
    """Lengths of the runs of False along axis 0 that end within it and began within it."""
    lengths = []
    for column in state.T:
        changes = np.flatnonzero(np.diff(column.astype(int)))
        bounds = pairwise(changes)
        lengths += [b - a for a, b in bounds if column[b + 1]]
    return np.array(lengths)


@pytest.mark.parametrize(("up", "burst"), [(0.8, 5.0), (0.3, 3.0), (0.5, 1.0), (1.0, 2.0)])
def test_bursts_have_their_share_and_length(up, burst):
    rounds, j = np.ogrid[:600, 1:60]
    state = GilbertElliott(up, burst, seed=2).up(0, j, rounds, 0)
    assert state.mean() == pytest.approx(up, abs=0.02)
    if up < 1:
        assert runs_of_false(state).mean() == pytest.approx(burst, rel=0.06)
    for r in (0, 1, 30):  # stationary from the first round on
        sample = GilbertElliott(up, burst, seed=2).up(0, np.arange(1, 4000), r, 0)
        assert sample.mean() == pytest.approx(up, abs=0.03)


def test_a_burst_lasts_through_the_steps_of_a_round():
    up = GilbertElliott(0.5, 3).up(0, np.arange(1, 50), 4, np.arange(6)[:, np.newaxis])
    assert (up == up[0]).all()
    assert 0 < up[0].mean() < 1


def test_partial_losses_in_both_states():
    link = GilbertElliott(0.75, 4, loss_good=0.1, loss_bad=0.6, seed=1)
    j, r, step = np.ogrid[1:60, :60, :4]
    up, good = link.up(0, j, r, step), link.good(0, j, r)
    good = np.broadcast_to(good, up.shape)
    assert up[good].mean() == pytest.approx(0.9, abs=0.01)
    assert up[~good].mean() == pytest.approx(0.4, abs=0.02)
    assert up.mean() == pytest.approx(0.75 * 0.9 + 0.25 * 0.4, abs=0.02)


def test_losses_of_different_kinds_with_one_seed_are_independent():
    j, r = np.ogrid[1:80, :80]
    memoryless = GilbertElliott(0.5, 2, loss_good=0.5, loss_bad=0.5, seed=4)
    both = All((Bernoulli(0.5, seed=4), memoryless)).up(0, j, r, 0)
    assert both.mean() == pytest.approx(0.25, abs=0.025)


def test_churn_has_its_share_and_length_and_takes_links_with_it():
    churn = Churn(0.25, absence=4, seed=6)
    rounds, i = np.ogrid[:600, :60]
    there = churn.present(i, rounds)
    assert there.mean() == pytest.approx(0.75, abs=0.02)
    assert runs_of_false(there).mean() == pytest.approx(4, rel=0.06)
    assert np.array_equal(churn.up(i, i[:, ::-1], rounds, 3), there & there[:, ::-1])
    assert Churn(0.0).present(i, rounds).all()


def test_all_is_the_conjunction():
    parts = (Bernoulli(0.6, seed=1), Churn(0.3, seed=1), Churn(0.3, seed=2))
    i, j = np.ogrid[:9, :9]
    both = All(parts)
    assert np.array_equal(both.up(i, j, 3, 1), np.all([p.up(i, j, 3, 1) for p in parts], axis=0))
    assert np.array_equal(both.present(i, 3), np.all([p.present(i, 3) for p in parts[1:]], axis=0))


@settings(max_examples=25, deadline=None)
@given(
    up=st.floats(0.05, 1),
    slack=st.floats(1, 20),
    seed=st.integers(0, 2**64 - 1),
    r=st.integers(0, 300),
)
def test_any_bursts_are_symmetric_and_travel(up, slack, seed, r):
    link = GilbertElliott(up, slack * max(1.0, (1 - up) / up), seed=seed)
    i, j = np.ogrid[:6, :6]
    state = LINKS.make(text_of(link, LINKS)).up(i, j, r, 0)
    assert np.array_equal(state, link.up(j, i, r, 0))


def test_an_outage_takes_the_same_devices_from_first_to_last():
    outage = Outage(3, 5, 0.3, seed=1)
    there = outage.present(np.arange(1000), np.arange(8)[:, np.newaxis])
    assert there[[0, 1, 2, 6, 7]].all()
    assert (there[3] == there[4]).all()
    assert (there[3] == there[5]).all()
    assert there[3].mean() == pytest.approx(0.7, abs=0.05)
    with pytest.raises(ConfigError, match="at least first=3"):
        Outage(3, 2, 0.3)


def test_what_is_not_sent_is_not_lost():
    both = All((Periodic(2), Bernoulli(0.5, seed=1)))
    i, j = np.zeros(500, int), np.arange(1, 501)
    assert not both.tried(i, j, 1, 1).any()
    assert both.tried(i, j, 2, 1).all()
    assert both.up(i, j, 2, 1).mean() == pytest.approx(0.5, abs=0.1)
    churn = Churn(0.3, absence=3, seed=1)
    assert np.array_equal(churn.tried(i, j, 4, 1), churn.up(i, j, 4, 1))
