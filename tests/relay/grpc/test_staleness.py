"""Models of other rounds than the one asked for, and transfers that outlast a deadline."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor, wait

import numpy as np
import pytest
from endpoints import RUN, connect, model
from slow_link import SlowLink

from p2pl_flower.relay import Slot
from p2pl_flower.relay.grpc import Credentials, EndpointMailbox
from p2pl_flower.relay.grpc.certificates import make_certificates
from p2pl_flower.relay.grpc.collecting import MOST_STALE
from p2pl_flower.relay.grpc.waiting import RoundTimes
from p2pl_flower.weights import weaken_stale

LARGE, LARGER = 400_000, 2_000_000  # numbers of 4 bytes


def publish(endpoint, number: int, size: int = 3, step: int = 0) -> None:
    EndpointMailbox(endpoint, RUN).publish(Slot("model", number, step), model(number, size))


def test_a_neighbor_that_has_gone_ahead_hands_over_what_is_nearest(network) -> None:
    a, b = network(0), network(1)
    connect(a, b)
    for number in (2, 3, 4):
        publish(a, number)
    found = EndpointMailbox(b, RUN).collect([0], Slot("model", 1, 0))
    assert (found[0]["b"].item(), found.ages) == (2.0, {0: 1})
    assert b.statistics.counts() == {0: {"arrived": 1, "stale": 1}}


def test_who_was_late_is_asked_for_what_it_has_and_not_waited_for(network) -> None:
    a, b, c = network(0, deadline=0.4), network(1), network(2)
    connect(a, b, c)
    mailbox, taken = EndpointMailbox(a, RUN), []
    for number in range(1, 6):
        publish(b, number)
        if number in (1, 4):
            publish(c, number)
        started = time.monotonic()
        a.times[RUN] = RoundTimes(100)  # rounds are long
        found = mailbox.collect([1, 2], Slot("model", number, 0))
        assert 1 in found
        taken.append((found[2]["b"].item() if 2 in found else None, found.ages))
        if number in (3, 4):
            assert time.monotonic() - started < 0.3
    assert taken == [(1, {}), (None, {}), (None, {}), (4, {}), (None, {})]


def test_nothing_is_taken_twice_and_nothing_too_old(network) -> None:
    a, b = network(0, deadline=0.2), network(1)
    connect(a, b)
    a.unreachable.add(1)
    publish(b, 1)
    mailbox = EndpointMailbox(a, RUN)
    a.times[RUN] = RoundTimes(100)  # rounds are long
    assert mailbox.collect([1], Slot("model", 2, 0)).ages == {1: 1}
    assert mailbox.collect([1], Slot("model", 3, 0)) == {}  # it was taken already
    publish(b, 2)
    beyond = Slot("model", 3 + MOST_STALE, 0)
    assert beyond.round > 9  # the run's last, which is not what is meant here
    b.publications(RUN).last_round = beyond.round
    assert mailbox.collect([1], beyond) == {}


def test_a_transfer_that_does_not_fit_the_deadline_is_carried_over(network) -> None:
    a, b = network(0, deadline=0.5), network(1)
    publish(b, 1, LARGE)
    publish(a, 1, LARGE)
    with SlowLink(b.address, bytes_per_second=1_000_000) as link:
        connect(a, b)
        a.meet(RUN, {1: link.address})
        mailbox, found, number = EndpointMailbox(a, RUN), {}, 0
        while not found:
            number += 1
            assert number < 9
            publish(a, number, LARGE)
            publish(b, number, LARGE)
            found = mailbox.collect([1], Slot("model", number, 0))
            wait([transfer.future for transfer in a.carried.values()], 0.5)  # while it trains
        assert found.ages == {1: number - 1}
        assert number > 1
        assert np.array_equal(found[1]["w"], np.full(LARGE, 1, np.float32))
        assert link.passed < 1.5 * 4 * LARGE  # nothing was begun anew


def test_a_transfer_that_breaks_in_the_middle_goes_on_where_it_was(network) -> None:
    a, b = network(0, deadline=30), network(1)
    for endpoint in (a, b):
        publish(endpoint, 1, LARGER)
    with SlowLink(b.address, bytes_per_second=6_000_000) as link, ThreadPoolExecutor(1) as pool:
        connect(a, b)
        a.meet(RUN, {1: link.address})
        mailbox = EndpointMailbox(a, RUN)
        fetching = pool.submit(mailbox.collect, [1], Slot("model", 1, 0))
        for most in (0.5, 0.9):
            end = time.monotonic() + 20
            while link.passed < most * 4 * LARGER:
                assert time.monotonic() < end
                time.sleep(0.01)
            link.break_off()
        found = fetching.result(30)
        assert found.ages == {}
        assert np.array_equal(found[1]["w"], np.full(LARGER, 1, np.float32))
        assert link.passed < 1.5 * 4 * LARGER  # whole chunks that had come did not come again
    assert a.statistics.counts()[1]["arrived"] == 1
    assert a.unreachable == set()


@pytest.mark.parametrize(("age", "weight"), [(0, 0.4), (1, 0.2), (3, 0.1)])
def test_old_models_weigh_less(age: int, weight: float) -> None:
    assert weaken_stale({1: 0.4, 2: 0.5}, {1: age}) == {1: pytest.approx(weight), 2: 0.5}


def test_a_link_of_a_second_to_and_fro_connects(network, tmp_path) -> None:
    make_certificates(tmp_path, range(2))
    a, b = (network(d, Credentials.load(tmp_path, d), deadline=30) for d in range(2))
    publish(b, 1)
    with SlowLink(b.address, delay=0.5) as link:
        connect(a, b)
        a.meet(RUN, {1: link.address})
        assert list(EndpointMailbox(a, RUN).collect([1], Slot("model", 1, 0))) == [1]
