"""ClientApps and the relay daemon beside their SuperNode."""

from __future__ import annotations

import numpy as np
import pytest
from flwr.app import ArrayRecord
from local_grid import RUN_ID, LocalGrid
from toy_app import START, add_functions

from p2pl_flower import P2PL, GrpcRelay, MemoryRelay, PeerApp
from p2pl_flower.cli import main
from p2pl_flower.device import Device
from p2pl_flower.errors import ConfigError, DeviceError, RelayError
from p2pl_flower.options import Options
from p2pl_flower.relay import Slot
from p2pl_flower.relay.daemon.client import LocalMailbox
from p2pl_flower.relay.daemon.server import LocalServer
from p2pl_flower.relay.grpc import Endpoint, Waiting
from p2pl_flower.relay.spool import Spool
from p2pl_flower.topology.neighborhood import Neighbor

FIRST = Slot("model", 1, 0)


@pytest.fixture
def daemons(tmp_path):
    """Daemons of three devices, as ``p2pl-flower relay`` starts them."""
    endpoints = [Endpoint(d, "127.0.0.1:0", None, Waiting(deadline=5)) for d in range(3)]
    servers = [LocalServer(f"unix:{tmp_path}/{d}.sock", s) for d, s in enumerate(endpoints)]
    for part in (*endpoints, *servers):
        part.start()
    yield endpoints, servers
    for part in (*servers, *endpoints):
        part.close()


def test_a_mailbox_outlives_the_process_that_filled_it(daemons) -> None:
    endpoints, servers = daemons
    mine = {"a": np.arange(600_000.0), "n": np.array(3), "b": np.ones((2, 2), np.float32).T}
    boxes = [LocalMailbox(server.address, "7", d) for d, server in enumerate(servers)]
    for box in boxes:
        box.meet({d: s.address for d, s in enumerate(endpoints) if d != box.device})
    boxes[0].publish(FIRST, mine, private=["n"])
    again = LocalMailbox(servers[0].address, "7", 0)
    [(slot, own)] = again.recall("model")
    assert slot == FIRST
    assert list(own) == ["a", "n", "b"]
    assert own["n"] == 3
    assert np.array_equal(again.collect([0], FIRST)[0]["n"], 3)
    arrived = boxes[1].collect([0], FIRST)
    assert list(arrived[0]) == ["a", "b"]
    assert np.array_equal(arrived[0]["a"], mine["a"])
    assert np.array_equal(arrived[0]["b"], mine["b"])
    assert boxes[1].collect([0], Slot("model", 2, 0), deadline=0.1) == {}
    assert boxes[1].recall("model") == []


class CountingSpool(Spool):
    """Counts the bytes that arrive."""

    arrived = 0

    def keep(self, size, chunks):
        self.arrived += size
        return super().keep(size, chunks)


def test_whoever_wants_the_newest_is_sent_no_more(daemons) -> None:
    _, servers = daemons
    box = LocalMailbox(servers[0].address, "7", 0)
    box.meet({})
    for step in range(3):
        box.publish(Slot("model", 1, step), {"w": np.full(1000, step), "n": np.array(step)}, ["n"])

    def arrived(read) -> int:
        box._spool = CountingSpool()
        read()
        return box._spool.arrived

    [everything, newest] = [arrived(lambda n=n: box.recall("model", n)) for n in (None, 1)]
    assert 8000 < newest < 8000 + 1000
    assert everything == 3 * newest
    assert [slot.step for slot, _ in box.recall("model", newest=1)] == [2]
    device = Device(Neighbor(0, 0), (), box, Options())
    assert arrived(device.model) == arrived(device.holding) == newest
    assert device.model()["n"] == 2


def test_old_runs_are_forgotten(daemons) -> None:
    _, servers = daemons
    for run in ("1", "2", "3"):
        LocalMailbox(servers[0].address, run, 0).meet({})
    with pytest.raises(RelayError, match="is not open for run 1"):
        LocalMailbox(servers[0].address, "1", 0).recall("model")
    assert LocalMailbox(servers[0].address, "3", 0).recall("model") == []


def test_what_is_wrong_with_a_daemon_is_said(daemons, tmp_path) -> None:
    endpoints, servers = daemons
    with pytest.raises(RelayError, match="is that of device 0, but this SuperNode is device 2"):
        LocalMailbox(servers[0].address, "1", 2)
    with pytest.raises(RelayError, match="no relay answers at unix:"):
        LocalMailbox(f"unix:{tmp_path}/nobody.sock", "1", 0)
    with pytest.raises(RelayError, match=r"no relay address is known of devices \[1\]"):
        LocalMailbox(servers[0].address, "1", 0).meet({1: "", 2: "h:1"})
    with pytest.raises(ConfigError, match="a relay is running there"):
        LocalServer(servers[0].address, endpoints[0])


def over_network(daemons, **options):
    _, servers = daemons
    app = PeerApp(relay=GrpcRelay())
    add_functions(app)
    grid = LocalGrid(app, 3)
    for context in grid.contexts.values():
        device = context.node_config["partition-id"]
        context.node_config["p2pl-relay"] = servers[device].address
    strategy = P2PL("ring", num_devices=3, relay=GrpcRelay(), **options)
    return grid, strategy


def test_p2pl_over_daemons_trains_as_it_does_within_a_process(daemons) -> None:
    grid, strategy = over_network(daemons, weights="data-size")
    result = strategy.start(grid, START, 3)
    assert len(result.arrays) == 0
    assert all(r.consensus_distance is None for r in strategy.rounds)
    relay = MemoryRelay()
    app = PeerApp(relay=relay)
    add_functions(app)
    expected = P2PL("ring", num_devices=3, relay=relay, weights="data-size")
    expected.start(LocalGrid(app, 3), START, 3)
    for ours, theirs in zip(strategy.rounds, expected.rounds, strict=True):
        assert ours.after_consensus == theirs.after_consensus
        assert ours.bytes_sent == theirs.bytes_sent
    for replies in grid.replies:  # no array comes back to the server
        assert not replies.content.array_records


@pytest.mark.parametrize("wanted", ["mean", "device:1"])
def test_the_models_that_are_asked_for_at_the_end(daemons, wanted: str) -> None:
    grid, strategy = over_network(daemons, result=wanted)
    result = strategy.start(grid, START, 2)
    relay = MemoryRelay()
    app = PeerApp(relay=relay)
    add_functions(app)
    within = P2PL("ring", num_devices=3, relay=relay, result=wanted)
    expected = within.start(LocalGrid(app, 3), START, 2)
    assert {n: a.numpy().tolist() for n, a in result.arrays.items()} == {
        n: a.numpy().tolist() for n, a in expected.arrays.items()
    }


def test_the_strategy_refuses_what_needs_all_models(daemons) -> None:
    grid, strategy = over_network(daemons)
    with pytest.raises(ConfigError, match="there are no models on the server to evaluate"):
        strategy.start(grid, START, 1, evaluate_fn=lambda *_: None)


def test_a_supernode_that_names_no_relay_is_told_how(daemons) -> None:
    grid, strategy = over_network(daemons)
    next(iter(grid.contexts.values())).node_config.pop("p2pl-relay")
    with pytest.raises(DeviceError, match="this SuperNode names no relay: run `p2pl-flower relay`"):
        strategy.start(grid, ArrayRecord(), 1)
    with pytest.raises(RelayError, match="names no relay"):
        GrpcRelay().mailbox(RUN_ID, 0)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--listen", "127.0.0.1:0"], "certificates='': name the folder"),
        (["--listen", "0.0.0.0:0", "--insecure"], "address='': must say host:port"),
        (["--listen", "127.0.0.1:0", "--insecure", "--deadline=0"], "deadline=0.0: must be"),
        (["--listen", "256.0.0.1:0", "--insecure"], "listen='256.0.0.1:0': cannot be listened at"),
    ],
)
def test_the_command_refuses_in_one_sentence(arguments, complaint, capsys) -> None:
    assert main(["relay", "--device", "0", *arguments]) == 2
    assert complaint in capsys.readouterr().err
