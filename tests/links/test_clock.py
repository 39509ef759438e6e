"""Simulated time: what takes how long, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from p2pl_flower.config import text_of
from p2pl_flower.errors import ConfigError
from p2pl_flower.links.clock import COMPUTES, NETWORKS, Constant, Rates, Step, Stopwatch, Trace

EIGHT = Rates(up_rate=8.0, down_rate=16.0, delay=100.0)  # 1 MB/s up, 2 MB/s down
"""A network whose seconds are easy to work out."""


def step(*pairs: tuple[int, int], heard: list[bool] | None = None, distance: float = np.nan):
    to, source = np.array(sorted(pairs)).T
    up = np.full(len(to), True) if heard is None else np.array(heard)
    return Step(to, source, up, np.full(len(to), distance))


def test_training_takes_operations_over_speed() -> None:
    watch = Stopwatch(EIGHT, Constant(speed=2.0, energy=3.0), 2)
    watch.train(np.array([1]), np.array([6e9]), 1)
    lap = watch.lap()
    assert lap.seconds == 3.0
    assert lap.busy.tolist() == [0.0, 3.0]
    assert lap.waiting.tolist() == [0.0, 0.0]  # nobody has waited for anybody
    assert lap.joules.tolist() == [0.0, 18.0]


def test_messages_leave_one_after_the_other_and_all_wait_for_the_last() -> None:
    watch = Stopwatch(EIGHT, Constant(), 3)
    watch.train(np.array([2]), np.array([5e10]), 1)  # 5 s
    watch.exchange(step((0, 1), (2, 1), (1, 2)), np.array([0.0, 1e6, 2e6]))
    # 1 sends to 0 from 0 to 1 s and to 2 from 1 to 2 s; 2 sends from 5 to 7 s.
    assert watch.now.tolist() == pytest.approx([1.1, 7.1, 7.0])
    lap = watch.lap()
    assert lap.seconds == pytest.approx(7.1)
    assert lap.busy.tolist() == pytest.approx([0.0, 2.0, 7.0])
    assert lap.waiting.tolist() == pytest.approx([1.1, 5.1, 0.0])
    assert watch.lap().seconds == 0.0


def test_what_gets_lost_was_sent_and_nobody_waits_for_it() -> None:
    watch = Stopwatch(EIGHT, Constant(), 2)
    watch.exchange(step((0, 1), (1, 0), heard=[False, True]), np.array([1e6, 3e6]))
    assert watch.now.tolist() == pytest.approx([1.0, 3.0])  # neither waits: 0 is heard by 1 at 1.1


def test_who_is_late_is_waited_for_until_the_deadline() -> None:
    watch = Stopwatch(EIGHT, Constant(speed=1.0), 3)
    watch.train(np.arange(3), np.array([1e9, 9e9, 1e9]), 1)  # 1 is late
    waiting = replace(step((0, 2), (2, 0)), in_vain=np.array([0]))
    watch.exchange(waiting, np.full(3, 1e6), deadline=4.0)
    assert watch.now.tolist() == pytest.approx([4.0, 9.0, 2.1])


def test_the_downlink_carries_what_all_neighbors_send() -> None:
    watch = Stopwatch(EIGHT, Constant(), 4)
    watch.exchange(step((0, 1), (0, 2), (0, 3)), np.full(4, 2e6))
    assert watch.now[0] == pytest.approx(0.1 + 3 * 2e6 / 2e6)


def test_a_radio_that_cannot_send_and_hear_at_once() -> None:
    network = Rates(up_rate=8.0, down_rate=16.0, half_duplex=True)
    watch = Stopwatch(network, Constant(), 2)
    watch.exchange(step((0, 1), (1, 0)), np.full(2, 1e6))
    assert watch.now.tolist() == pytest.approx([1.5, 1.5])


def test_far_away_is_slower() -> None:
    network = Rates(up_rate=8.0, down_rate=16.0, near=0.1, path_loss=2.0, snr=20.0)
    assert network.share(np.array([0.0, 0.1, np.nan])).tolist() == [1.0, 1.0, 1.0]
    [left] = network.share(np.array([1.0]))
    assert left == pytest.approx(np.log2(1 + 1) / np.log2(101))
    watch = Stopwatch(network, Constant(), 2)
    watch.exchange(step((0, 1), distance=1.0), np.full(2, 1e6))
    assert watch.now.tolist() == pytest.approx([1 / left, 1 / left])


def test_a_server_is_shared_by_all_that_take_part() -> None:
    network = Rates(
        up_rate=8.0, down_rate=16.0, server_up=16.0, server_down=80.0, server_delay=500.0
    )
    watch = Stopwatch(network, Constant(speed=1.0), 3)
    sizes, work = np.full(2, 1e6), np.array([1e9, 4e9])
    watch.serve(np.array([0, 2]), sizes, sizes, work, 1)
    # Down at half of 2 MB/s, trained in 1 or 4 s, up at the device's own 1 MB/s.
    assert watch.now.tolist() == pytest.approx([0.5 + 1 + 4 + 1 + 0.5] * 3)
    assert watch.lap().waiting.tolist() == pytest.approx([5.0, 7.0, 2.0])


def test_energy_is_counted_where_it_is_stated() -> None:
    network = Rates(up_rate=8.0, down_rate=8.0, sending=2.0, receiving=1.0)
    watch = Stopwatch(network, Constant(), 2)
    watch.exchange(step((0, 1), (1, 0), heard=[False, True]), np.full(2, 1e6))
    assert watch.lap().joules.tolist() == pytest.approx([2.0, 3.0])
    assert Stopwatch(EIGHT, Constant(), 2).lap().joules is None


def test_rates_and_speeds_are_functions_of_seed_and_device() -> None:
    devices = np.arange(2000)
    speeds = COMPUTES.make("lognormal:speed=3,sigma=0.5", seed=4).speed_of(devices, 1) / 3e9
    assert np.log(speeds).mean() == pytest.approx(0.0, abs=0.05)
    assert np.log(speeds).std() == pytest.approx(0.5, abs=0.03)
    slow = COMPUTES.make("stragglers:share=0.2,factor=10", seed=4)
    assert slow.slow(devices).mean() == pytest.approx(0.2, abs=0.03)
    assert set(slow.speed_of(devices, 3) / 1e9) == {1.0, 10.0}
    for kind in (slow, COMPUTES.make("lognormal", seed=5)):
        again = kind.speed_of(devices[::-1], 7)[::-1]
        assert (again == kind.speed_of(devices, 1)).all()
    network = NETWORKS.make("wifi:spread=0.3", seed=1)
    assert (network.up(devices) / network.down(devices) == 1).all()
    assert len(set(network.up(devices))) == 2000


def test_a_trace_has_a_line_a_device_and_a_column_a_round(tmp_path) -> None:
    path = tmp_path / "speeds.csv"
    path.write_text("1,2\n4,8\n")
    trace = COMPUTES.make(f"trace:path={path}")
    assert trace.speed_of(np.arange(3), 1).tolist() == [1e9, 4e9, 1e9]
    assert trace.speed_of(np.arange(2), 4).tolist() == [2e9, 8e9]
    path.write_text("1,0\n")
    with pytest.raises(ConfigError, match="above 0"):
        Trace(str(path))
    with pytest.raises(ConfigError, match="a line for each device"):
        Trace(str(tmp_path / "none.csv"))


@pytest.mark.parametrize("name", NETWORKS.entries)
def test_presets_are_made_of_their_texts(name: str) -> None:
    needed = ":up=1,down=2" if name == "rates" else ""
    network = NETWORKS.make(name + needed)
    text = text_of(network, NETWORKS)
    assert text.partition(":")[0] == name
    assert network.is_there == (name != "none")
    assert network.server().up > 0
    ids = np.arange(3)
    assert (network.up(ids) > 0).all()
    assert (network.down(ids) > 0).all()
    assert (network.latency(ids, ids) >= 0).all()


def test_a_duty_cycle_is_a_share_of_the_rate() -> None:
    [rate] = NETWORKS.make("lora-wan").up(np.arange(1))
    assert rate == pytest.approx(5470 / 8 / 100)
