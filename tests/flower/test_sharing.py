"""Personal arrays: which names are shared, and that the others never leave their device."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from flwr.app import ArrayRecord, Context, Message
from local_grid import RUN_ID, LocalGrid
from test_device import draw, make_peers, norm
from test_strategy import by_hand
from toy_app import START, device, make_app, record, values

from p2pl_flower import P2PL, MemoryRelay, PeerApp
from p2pl_flower.errors import ConfigError, DeviceError, LayoutError
from p2pl_flower.relay import Slot
from p2pl_flower.relay.contents import MODEL, models_of
from p2pl_flower.sharing import EVERYTHING, Sharing

NAMES = ["conv1.weight", "conv1.bias", "head.weight", "head.bias", "bn.running_mean"]


@pytest.mark.parametrize(
    ("given", "shared"),
    [
        ("*", NAMES),
        ("conv1.*", NAMES[:2]),
        ("conv1.*,bn.*", [*NAMES[:2], NAMES[4]]),
        (["conv?.weight", "head.weight"], [NAMES[0], NAMES[2]]),
        ("!head.*", [*NAMES[:2], NAMES[4]]),
        ("!head.*, !*.running_*", NAMES[:2]),
        ("*.weight,!head.*", NAMES[:1]),
        ("*.[bw]*,!conv*", NAMES[2:4]),
    ],
)
def test_globs(given, shared) -> None:
    sharing = Sharing.of(given)
    assert [name for name in NAMES if sharing.takes(name)] == shared
    assert sharing.personal(NAMES) == [name for name in NAMES if name not in shared]
    assert Sharing.of(sharing.spec()) == sharing
    model = {name: np.zeros(2) for name in NAMES}
    assert list(sharing.part(model)) == shared
    assert "conv1.bias" not in sharing.part({**model, "conv1.bias": np.zeros(2, int)})


def test_upper_and_lower_case_differ() -> None:
    assert not Sharing.of("Head.*").takes("head.weight")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("haed.*", "shared='haed.*': 'haed.*' matches none of the arrays; choose one of: a, n, b"),
        ("a,!haed", "shared='a,!haed': '!haed' matches none of the arrays; choose one of: a, n"),
        ("n", "shared='n': leaves no floating-point array to mix; choose one of: a, b"),
        ("a,!?", "shared='a,!?': leaves no floating-point array to mix"),
    ],
)
def test_patterns_must_fit_the_model(given, words) -> None:
    model = {"a": np.zeros(1), "n": np.zeros(1, int), "b": np.zeros(1)}
    with pytest.raises(ConfigError) as caught:
        Sharing.of(given).check(model)
    assert str(caught.value).startswith(words)
    EVERYTHING.check(model)


def test_trees_are_refused() -> None:
    with pytest.raises(LayoutError, match=r"no floating-point array .*'0': uint8.*XGBoost"):
        EVERYTHING.check({"0": np.frombuffer(b"\x01\x02", np.uint8)})


@pytest.mark.parametrize("scope", ["model", "tensor"])
def test_only_shared_arrays_are_synchronized(scope: str) -> None:
    relay, peers = make_peers(nx.path_graph(4), shared="a", max_norm_scope=scope)
    # b alone would make device 0 the winner
    for peer in peers:
        own = draw(peer.me.id)
        peer.start({**own, "b": own["b"] + (99 if peer.me.id == 0 else 0)})
    strongest = max(range(4), key=lambda d: norm(draw(d), "a"))
    assert strongest != 0
    received: dict[int, int] = {}
    for step in (1, 2, 3):
        exchanges = [peer.synchronize(step) for peer in peers]
        received |= exchanges[2].received
    assert {e.origins for e in exchanges} == {(strongest,)}
    for peer in peers:
        model = peer.model()
        assert list(model) == ["a", "steps", "b"]
        assert np.array_equal(model["a"], draw(strongest)["a"])
        assert model["b"][0] == draw(peer.me.id)["b"][0] + (99 if peer.me.id == 0 else 0)
    assert_nobody_sees(relay, peers, {"a"})


def test_a_common_start_is_handed_on_as_a_whole() -> None:
    _relay, peers = make_peers(nx.path_graph(3), shared="a", init="shared")
    for peer in peers:
        peer.start(draw(0) if peer.me.id == 0 else None, drawn=False)
    for step in (1, 2):
        [peer.synchronize(step) for peer in peers]
    for peer in peers:
        assert list(peer.model()) == ["a", "steps", "b"]
        assert np.array_equal(peer.model()["b"], draw(0)["b"])


def test_a_consensus_step_leaves_personal_arrays_alone() -> None:
    pulled = "p2pl-affinity:strength=1"
    relay, peers = make_peers(nx.path_graph(2), shared="!b", algorithm=pulled)
    for peer in peers:
        own = float(peer.me.id)
        peer.after_training(1, {"a": np.array([2 * own]), "b": np.array([own])}, {})
    mixed = [peer.mix(1, 1) for peer in peers]
    assert [m.holding.model["a"].item() for m in mixed] == [1, 1]
    assert [m.holding.model["b"].item() for m in mixed] == [0, 1]
    assert mixed[0].exchange.received == {1: 8}
    for peer, m in zip(peers, mixed, strict=True):
        peer.publish(1, 1, m.holding)
    correction = peers[1].before_training(peers[1].holding()).correction
    assert {name: array.item() for name, array in correction.items()} == {"a": -1}
    assert_nobody_sees(relay, peers, {"a"})


def test_heads_of_different_shapes_may_stay_at_home() -> None:
    _relay, peers = make_peers(nx.path_graph(2), shared="a")
    for peer in peers:
        peer.after_training(1, {"a": np.ones(2), "b": np.ones(3 + peer.me.id)}, {})
    assert [peer.mix(1, 1).holding.model["b"].shape for peer in peers] == [(3,), (4,)]


def assert_nobody_sees(relay: MemoryRelay, peers, visible: set[str]) -> None:
    run = 1
    for sender in peers:
        slots = [slot for slot, _ in sender.mailbox.recall(MODEL)]
        for reader in sender.neighbors:
            for slot in slots:
                seen = relay.mailbox(run, reader.id).collect([sender.me.id], slot)
                # integer buffers of a start are seen: they hold nothing that was learned
                assert set(seen[sender.me.id]) - {"steps"} == visible


def run_personal(draws: bool = False, **options):
    app, relay = make_app(draws=draws)
    grid = LocalGrid(app, 5)
    seen: list[ArrayRecord] = []
    strategy = P2PL("ring", relay=relay, shared="w", **options)
    result = strategy.start(grid, START, 2, evaluate_fn=lambda _, arrays: seen.append(arrays))
    return strategy, result, seen, grid


def test_an_evaluate_fn_is_said_to_get_no_personal_arrays(caplog) -> None:
    run_personal(init="shared")
    [said] = [r.message for r in caplog.records if "evaluate_fn" in r.message]
    assert said.startswith("evaluate_fn gets a mean model whose steps, b are those of initial_arr")
    caplog.clear()
    app, relay = make_app()
    strategy = P2PL("ring", relay=relay, init="shared")
    strategy.start(LocalGrid(app, 3), START, 1, evaluate_fn=lambda *_: None)
    assert not [r for r in caplog.records if "evaluate_fn" in r.message]


@pytest.mark.parametrize("draws", [False, True])
def test_a_run_with_a_personal_array(draws: bool) -> None:
    init = "max-norm" if draws else "shared"
    strategy, result, seen, grid = run_personal(draws, init=init)
    assert [r.bytes_sent for r in strategy.rounds] == [10 * 16] * 2  # 2 neighbors each, w alone
    # what stays at home is as in initial_arrays, in the result and for evaluate_fn
    assert [values(a)["b"] for a in (result.arrays, *seen)] == [0] * 4
    assert list(result.arrays) == list(START)
    assert values(result.arrays)["steps"] == 0
    assert sum(len(c.array_records) for _, _, c in grid.log) == (0 if draws else 1)
    if not draws:
        assert values(result.arrays)["w"][0] == pytest.approx(by_hand(nx.cycle_graph(5), 2).mean())
        apart = by_hand(nx.cycle_graph(5), 2).std() * 2**0.5  # of w's two numbers alone
        assert strategy.rounds[1].consensus_distance == pytest.approx(apart)


def test_devices_train_their_personal_array_on() -> None:
    app, relay = make_app()
    kept: dict[int, float] = {}

    class Kept(MemoryRelay):
        def close(self, run: int) -> None:
            found = models_of(self.observe(RUN_ID, MODEL))
            kept.update({d: float(m["b"]) for d, m in found.items()})
            super().close(run)

    relay = Kept()
    app._relay = relay
    P2PL("ring", relay=relay, shared="w").start(LocalGrid(app, 5), START, 3)
    assert kept == {d: pytest.approx(d * (1 - 0.5**3)) for d in range(5)}  # never mixed


def test_bad_patterns_are_refused_before_anything_is_trained() -> None:
    app, relay = make_app()
    grid = LocalGrid(app, 3)
    with pytest.raises(ConfigError, match="'v' matches none of the arrays; choose one of: w, st"):
        P2PL("ring", relay=relay, shared="w,v").start(grid, START, 1)
    assert not [k for k, _, _ in grid.log if k != "query.p2pl_join"]
    app, relay = make_app(draws=True)  # where only devices know the names
    with pytest.raises(DeviceError, match="'v' matches none of the arrays"):
        P2PL("ring", relay=relay, shared="v").start(LocalGrid(app, 3), ArrayRecord(), 1)


def test_devices_that_draw_nothing_are_given_a_whole_model() -> None:
    """A neighbor would not show them what stays at home of its own draw."""

    class SomeDraw(PeerApp):
        def _answer_join(self, message: Message, context: Context) -> Message:
            reply = super()._answer_join(message, context)
            reply.content["p2pl"]["draws"] = device(context) % 2 == 0
            return reply

    made, relay = make_app(draws=True)
    app = SomeDraw(relay=relay)
    app._registered_funcs, app._init = made._registered_funcs, made._init
    grid = LocalGrid(app, 4)
    result = P2PL("ring", relay=relay, shared="w").start(grid, START, 1)
    assert [d for k, d, c in grid.log if k == "query.p2pl_init" and c.array_records] == [1, 3]
    assert list(result.arrays) == list(START)


def test_without_initial_arrays_the_result_has_the_shared_ones() -> None:
    app, relay = make_app(draws=True)
    strategy = P2PL("ring", relay=relay, shared="w")
    result = strategy.start(LocalGrid(app, 4), ArrayRecord(), 1)
    assert list(result.arrays) == ["w"]


def test_a_slot_of_a_start_hides_what_a_device_drew() -> None:
    relay, peers = make_peers(nx.path_graph(2), shared="a")
    peers[0].start(draw(0))
    seen = relay.mailbox(1, 1).collect([0], Slot(MODEL, 0, 0))[0]
    assert list(seen) == ["a"]
    assert list(peers[0].model()) == ["a", "steps", "b"]
    assert record(dict(seen)).keys() == {"a"}
