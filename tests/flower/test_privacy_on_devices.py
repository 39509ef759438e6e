"""What neighbors, the relay and the history see of devices that keep their data private."""

from __future__ import annotations

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from local_grid import LocalGrid

from p2pl_flower import P2PL, MemoryRelay, PeerApp
from p2pl_flower.device import Device
from p2pl_flower.errors import P2PLError
from p2pl_flower.named_arrays import Model
from p2pl_flower.options import Options
from p2pl_flower.relay import Mailbox, Slot
from p2pl_flower.relay.contents import MODEL, STATE, from_publication
from p2pl_flower.topology.neighborhood import Neighbor

DEVICES, SIZE = 3, 2000
INITIAL = np.zeros(SIZE, np.float32)


class Watching(MemoryRelay):
    """Notes all that devices publish."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, Slot, Model]] = []

    def mailbox(self, run: int, device: int) -> Mailbox:
        mailbox = super().mailbox(run, device)
        publish = mailbox.publish

        def noted(slot: Slot, model: Model, private=()) -> None:
            self.seen.append((device, slot, {n: np.array(a) for n, a in model.items()}))
            publish(slot, model, private)

        mailbox.publish = noted
        return mailbox


def run(relay: Watching, **options) -> P2PL:
    app = PeerApp(relay=relay)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        own = 1.0 + int(context.node_config["partition-id"])
        arrays = message.content.array_records["arrays"]
        trained = {
            "w": Array((arrays["w"].numpy() + own).astype(np.float32)),
            "head": Array((arrays["head"].numpy() + own).astype(np.float32)),
        }
        metrics = MetricRecord({"num-examples": 5})
        content = RecordDict({"arrays": ArrayRecord(trained), "metrics": metrics})
        return Message(content, reply_to=message)

    strategy = P2PL(
        "complete", init="shared", shared="!head", num_devices=DEVICES, relay=relay, **options
    )
    initial = ArrayRecord({"w": Array(INITIAL), "head": Array(INITIAL)})
    strategy.start(LocalGrid(app, DEVICES), initial, 2)
    return strategy


@pytest.fixture(autouse=True)
def _no_accountant(monkeypatch) -> None:
    monkeypatch.setattr("p2pl_flower.options.spending.check_accountant", lambda _: None)
    monkeypatch.setattr("p2pl_flower.flower.strategy.check_accountant", lambda _: None)
    monkeypatch.setattr(
        "p2pl_flower.options.spending.epsilon_of", lambda noise, delta, rounds: 2.0 * rounds
    )


@pytest.mark.parametrize("algorithm", ["p2pl", "slowmo", "gradient-tracking"])
def test_all_that_is_published_is_near_what_was_known(algorithm: str) -> None:
    relay = Watching()
    run(relay, algorithm=algorithm, privacy="gaussian:clip=1,noise=1e-9", consensus_steps=2)
    trained = [(d, m) for d, slot, m in relay.seen if slot[:2] == (MODEL, 1) and slot.step == 0]
    assert len(trained) == DEVICES
    for device, publication in trained:
        model, message = from_publication(publication)
        assert np.linalg.norm(message["w"] - INITIAL) == pytest.approx(1.0, rel=1e-4)
        assert np.linalg.norm(model["w"] - INITIAL) == pytest.approx(1.0, rel=1e-4)
        assert model["head"][0] == pytest.approx(1.0 + device)  # at home it is as it was trained
        assert "head" not in message
    for _, slot, arrays in relay.seen:  # nothing that is kept knows the clean update, either
        if slot.channel in (MODEL, STATE) and slot.round:
            ours = {n: a for n, a in arrays.items() if "head" not in n}
            assert all(np.linalg.norm(a) < 10 for a in ours.values())


def test_noise_is_new_on_every_device_and_in_every_run() -> None:
    found = []
    for _ in range(2):
        relay = Watching()
        run(relay, privacy="gaussian:clip=0.5,noise=2", seed=1)
        found += [m["w"] for _, slot, m in relay.seen if slot[:2] == (MODEL, 1)][:DEVICES]
    assert len({w.tobytes() for w in found}) == 2 * DEVICES
    for w in found:
        assert w.std() == pytest.approx(1.0, rel=0.1)


def test_nothing_is_shown_where_the_start_is_not_known() -> None:
    relay = Watching()
    relay.open(1)
    options = Options(privacy="gaussian:clip=1,noise=1")
    device = Device(Neighbor(0, 1), (), relay.mailbox(1, 0), options)
    device.start({"w": INITIAL})
    shown = len(relay.seen)
    with pytest.raises(P2PLError, match="what training began from"):
        device.after_training(1, {"w": INITIAL + 1}, {})
    assert len(relay.seen) == shown


@pytest.mark.parametrize("steps", [1, 3])
def test_the_history_says_what_was_spent_whatever_the_consensus_steps(steps: int) -> None:
    strategy = run(Watching(), privacy="gaussian:clip=1,noise=1", consensus_steps=steps)
    assert [r.epsilon for r in strategy.rounds] == [2.0, 4.0]
    assert strategy.setup["epsilon_per_round"] == 2.0
    assert all(r.epsilon is None for r in run(Watching()).rounds)
