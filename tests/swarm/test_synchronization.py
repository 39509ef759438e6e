"""Max norm synchronization of all devices at once against devices one by one."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from p2pl_flower.device import Device
from p2pl_flower.errors import DeviceError
from p2pl_flower.links import Bernoulli, Links, Perfect
from p2pl_flower.named_arrays import nbytes
from p2pl_flower.options import Options
from p2pl_flower.relay import MemoryRelay
from p2pl_flower.swarm.drawing import norms
from p2pl_flower.swarm.stack import Stack
from p2pl_flower.swarm.synchronization import flood
from p2pl_flower.topology import Static, schedule
from p2pl_flower.topology.neighborhood import neighborhood

RUN = 1


def one_by_one(graph, links, models, scope, steps):
    """Return origins and bytes after so many steps of real devices."""
    relay = MemoryRelay()
    relay.open(RUN)
    relay.admit(RUN, {d: sorted(graph[d]) for d in graph})
    options = Options(links=links, max_norm_scope=scope)
    peers = [
        Device(*neighborhood(graph, d), relay.mailbox(RUN, d), options) for d in range(len(graph))
    ]
    for peer, model in zip(peers, models, strict=True):
        peer.start(model)
    sent, origins = 0, []
    for step in range(1, steps + 1):
        exchanges = [peer.synchronize(step) for peer in peers]
        sent += sum(sum(e.received.values()) for e in exchanges)
        origins = [e.origins for e in exchanges]
    return np.array(origins), sent


@given(st.integers(0, 10**6), st.sampled_from(["model", "tensor"]), *[st.booleans()] * 2)
@settings(max_examples=20, deadline=None)
def test_it_is_what_the_devices_do(seed, scope, lossy, apart) -> None:
    graph = schedule("erdos-renyi:p=0.4", 9, seed=seed).graph(1)
    links: Links = Bernoulli(0.6, seed) if lossy else Perfect()
    rng = np.random.default_rng(seed)
    values = rng.integers(1, 6, size=(9, 2)).astype(np.float32)  # ties are likely
    if apart:  # some claims are beyond belief for some devices
        values *= 10.0 ** rng.integers(0, 6, size=(9, 1))
    models = [{"a": values[k, :1], "b": values[k, 1:]} for k in range(9)]
    norms = values if scope == "tensor" else np.sqrt((values**2).sum(1, keepdims=True))
    drew = np.full(9, True)
    start = flood(Static(graph), links, norms.astype(np.float64), drew, nbytes(models[0]))
    steps = start.setup["synchronization_steps"]
    origins, sent = one_by_one(graph, links, models, scope, steps)
    assert start.origins.tolist() == origins.tolist()
    assert start.setup["bytes_sent"] == sent


@pytest.mark.parametrize("scope", ["model", "tensor"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_draws_that_are_not_finite_win_nothing(scope: str, bad: float) -> None:
    graph = nx.cycle_graph(5)
    values = np.array([[1, 2], [bad, 9], [3, bad], [4, 1], [2, 2]], np.float32)
    models = [{"a": row[:1], "b": row[1:]} for row in values]
    template = nn.ParameterDict({name: torch.zeros(1) for name in ("a", "b")})
    stack = Stack(template, 5, "cpu")
    for device, model in enumerate(models):
        stack.put(device, nn.ParameterDict({n: torch.tensor(a) for n, a in model.items()}))
    drew = np.full(5, True)
    start = flood(Static(graph), Perfect(), norms(stack, scope), drew, nbytes(models[0]))
    origins, _ = one_by_one(graph, Perfect(), models, scope, start.setup["synchronization_steps"])
    assert start.origins.tolist() == origins.tolist()
    assert (origins == ([3] if scope == "model" else [3, 1])).all()


def test_one_device_that_drew_serves_all() -> None:
    graph = nx.path_graph(4)
    drew = np.arange(4) == 0
    models = [{"a": np.ones(3)}, None, None, None]
    start = flood(Static(graph), Perfect(), np.ones((4, 1)), drew, 24)
    origins, sent = one_by_one(graph, Perfect(), models, "model", 3)
    assert start.origins.tolist() == [[0]] * 4 == origins.tolist()
    assert start.setup == {
        "synchronization_steps": 3,
        "bytes_sent": sent,
        "bytes_through_server": 0,
    }


class Never(Links):
    def up(self, i, j, round_number, step):
        return np.zeros(np.broadcast_shapes(np.shape(i), np.shape(j)), dtype=np.bool_)


def test_who_has_no_model_in_the_end() -> None:
    drew = np.arange(3) == 0
    with pytest.raises(DeviceError, match="after 30 steps some devices have no initial model"):
        flood(Static(nx.path_graph(3)), Never(), np.ones((3, 1)), drew, 8)


def test_devices_that_never_agree_keep_what_they_have(caplog) -> None:
    start = flood(Static(nx.path_graph(2)), Never(), np.ones((2, 1)), np.full(2, True), 8)
    assert start.origins.tolist() == [[0], [1]]
    assert "after 20 steps devices still hold 2 initial models" in caplog.text


def test_a_single_device_needs_no_step() -> None:
    start = flood(Static(nx.empty_graph(1)), Perfect(), np.ones((1, 1)), np.full(1, True), 8)
    assert start.setup["synchronization_steps"] == 0
