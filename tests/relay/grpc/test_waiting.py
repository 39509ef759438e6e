"""How long a endpoint waits for its neighbors, and what it makes of those that do not come."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from endpoints import RUN, SLOT, connect, model

from p2pl_flower.errors import ConfigError
from p2pl_flower.relay import Slot
from p2pl_flower.relay.grpc import Endpoint, EndpointMailbox, Waiting
from p2pl_flower.relay.grpc.protocol import Refusal, RefusedError
from p2pl_flower.relay.grpc.waiting import RoundTimes, Usual

pytestmark = pytest.mark.slow


def test_a_quorum_does_not_wait_for_the_rest(network) -> None:
    a, b, c = network(0, quorum=1, deadline=30), network(1), network(2)
    connect(a, b, c)
    EndpointMailbox(b, RUN).publish(SLOT, model())
    started = time.monotonic()
    assert list(EndpointMailbox(a, RUN).collect([1, 2], SLOT)) == [1]
    assert time.monotonic() - started < 10
    assert a.statistics.counts() == {1: {"arrived": 1}, 2: {"late": 1}}


def test_at_the_deadline_it_goes_on_with_what_arrived(network) -> None:
    a, b, c = network(0, deadline=0.5), network(1), network(2)
    connect(a, b, c)
    c.close()
    EndpointMailbox(b, RUN).publish(SLOT, model())
    assert list(EndpointMailbox(a, RUN).collect([1, 2], SLOT)) == [1]
    assert a.statistics.counts() == {1: {"arrived": 1}, 2: {"absent": 1}}


@pytest.mark.parametrize("returns", [False, True])
def test_who_leaves_while_waited_for_is_absent_until_back(network, returns, monkeypatch) -> None:
    a, b = network(0, deadline=20 if returns else 2), network(1)
    connect(a, b)
    asked = threading.Event()
    monkeypatch.setattr(b.publications(RUN), "check_admitted", lambda reader: asked.set())
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(EndpointMailbox(a, RUN).collect, [1], SLOT)
        assert asked.wait(20)
        b.close()
        if returns:
            back = network(1, listen=b.address)
            back.meet(RUN, {0: a.address})
            EndpointMailbox(back, RUN).publish(SLOT, model())
        assert list(waiting.result(30)) == [1] * returns
    assert a.statistics.counts() == {1: {"arrived": 1} if returns else {"absent": 1}}
    assert a.unreachable == (set() if returns else {1})


class GoneThenSilent:
    """A neighbor that cannot be reached, and is still being tried when time runs out."""

    def __init__(self) -> None:
        self._over, self._tries = threading.Event(), 0

    def fetch(self, run, slot, seconds, most_bytes, watch, **nearby):
        self._tries += 1
        if self._tries == 1:
            raise RefusedError(Refusal.ABSENT, "cannot be reached")
        watch.add(self)
        assert self._over.wait(20)
        raise RefusedError(Refusal.LATE, "its answer has not come in time")

    def cancel(self) -> None:
        self._over.set()

    def close(self) -> None:
        assert self._tries == 2


def test_a_last_try_that_time_runs_out_for_does_not_hide_who_is_absent(network) -> None:
    a = network(0, deadline=1)
    a.remotes[1] = GoneThenSilent()
    assert EndpointMailbox(a, RUN).collect([1], SLOT) == {}
    assert a.statistics.counts() == {1: {"absent": 1}}


class Deaf:
    """A way to a neighbor that still does not return when its call has been ended."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def fetch(self, *request, **nearby):
        assert self.over.wait(20)
        raise RefusedError(Refusal.ABSENT, "cannot be reached")

    def close(self) -> None:
        self.over.set()


def test_who_takes_its_time_to_find_out_what_is_wrong_delays_nobody(network) -> None:
    a = network(0, deadline=0.2)
    a.remotes[1], begun = Deaf(), time.monotonic()
    assert EndpointMailbox(a, RUN).collect([1], Slot("model", 1, 0)) == {}
    assert time.monotonic() - begun < 2
    assert a.unreachable == {1}
    a.remotes[1].close()


def test_who_could_not_be_reached_is_given_less_time_until_heard_of(network) -> None:
    a, b = network(0, deadline=2, grace=0.1), network(1)
    connect(a, b)
    address, _ = b.address, b.close()
    for most, least in ((5, 1.5), (1, 0)):
        started = time.monotonic()
        assert EndpointMailbox(a, RUN).collect([1], SLOT) == {}
        assert least <= time.monotonic() - started < most
    back = Endpoint(1, address, None)
    try:
        back.open(RUN)
        back.start()
        back.meet(RUN, {0: a.address})
        back.hello(RUN, 0, 5)
        assert not a.unreachable
    finally:
        back.close()


@pytest.mark.parametrize(
    "bad", [{"adapt": -1}, {"quorum": -1}, {"deadline": 0}, {"deadline": True}, {"grace": -1}]
)
def test_a_waiting_policy_that_makes_no_sense_is_refused(bad) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(bad))}="):
        Waiting(**bad)


def test_steps_of_a_round_share_a_tenth_of_what_a_round_takes(monkeypatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    times, told = RoundTimes(50), []
    for number, waited in ((1, 0), (2, 40), (3, 0)):  # in one, somebody is waited for
        now += 7  # while it trains
        for _ in range(3):
            now += 1
            told.append(times.ask(number))
        now += waited
    assert told == pytest.approx([5.0] * 3 + [1 / 3] * 6)


def test_a_deadline_adapts_to_what_neighbors_took() -> None:
    usual, waiting = Usual(), Waiting(deadline=60, grace=1, adapt=3)
    told = []
    for seconds in (5.0, 0.2, 4.0, *[0.1] * 8, 30.0):
        told.append(usual.deadline(waiting))
        usual.note(seconds)
    assert told[:4] == [60, 60, 60, 15]
    assert told[-1] == pytest.approx(1)  # grace, once the slow ones are past
    assert usual.deadline(waiting) == 60
    assert usual.deadline(Waiting(deadline=60)) == 60


def test_one_that_is_silent_is_waited_for_as_long_as_others_take(network) -> None:
    a, b, c = network(0, deadline=20, grace=0.2, adapt=2), network(1), network(2)
    connect(a, b, c)
    mailbox, begun = EndpointMailbox(a, RUN), time.monotonic()
    for number in range(1, 6):
        for endpoint in (a, b, c)[: 2 if number == 5 else 3]:
            EndpointMailbox(endpoint, RUN).publish(Slot("model", number, 0), model())
        found = mailbox.collect([1, 2], Slot("model", number, 0))
        assert 1 in found
    assert time.monotonic() - begun < 10
    assert a.unreachable == {2}
