"""The correction of local steps inside users' own training loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.client import NumPyClient
from flwr.serverapp.strategy import FedAvg
from local_grid import LocalGrid
from torch import nn

from p2pl_flower import P2PL, ConfigError, LayoutError, MemoryRelay, PeerApp, corrected
from p2pl_flower.flower.local_steps import correcting, local_correction
from p2pl_flower.relay.contents import MODEL, models_of

pytestmark = pytest.mark.slow

PULLED = "p2pl-affinity:strength=0.5"
STEPS = 4


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 1))


def fit(model: nn.Module, device: int, correct: bool = True, optimizer=torch.optim.SGD) -> None:
    """Train as people do: an optimizer, a loop, a loss."""
    model.train()
    made = optimizer(model.parameters(), lr=0.1)
    if correct:
        made = corrected(made, model, steps=STEPS)
    generator = torch.Generator().manual_seed(device)
    for _ in range(STEPS):
        x = torch.randn(5, 3, generator=generator)
        made.zero_grad()
        ((model(x) - device) ** 2).mean().backward()
        made.step()


class Kept(MemoryRelay):
    def close(self, run: int) -> None:
        self.last = models_of(self.observe(run, MODEL))
        super().close(run)


def message_app(relay: MemoryRelay, **how) -> PeerApp:
    app = PeerApp(relay=relay)

    @app.train()
    def train(message: Message, context: Context) -> Message:
        model = net()
        model.load_state_dict(message.content["arrays"].to_torch_state_dict())
        fit(model, int(context.node_config["partition-id"]), **how)
        content = {
            "arrays": ArrayRecord(model.state_dict()),
            "metrics": MetricRecord({"num-examples": 5}),
        }
        return Message(RecordDict(content), reply_to=message)

    return app


class Client(NumPyClient):
    def __init__(self, device: int) -> None:
        self.device, self.model = device, net()

    def fit(self, parameters, config):
        names = self.model.state_dict().keys()
        state = {n: torch.tensor(p) for n, p in zip(names, parameters, strict=True)}
        self.model.load_state_dict(state)
        fit(self.model, self.device)
        return [v.numpy() for v in self.model.state_dict().values()], 5, {}

    def evaluate(self, parameters, config):
        return 0.0, 5, {}


def client_app(relay: MemoryRelay) -> PeerApp:
    def client_fn(context: Context):
        return Client(int(context.node_config["partition-id"])).to_client()

    return PeerApp(client_fn, relay=relay)


def by_hand(rounds: int, strength: float) -> list[dict[str, torch.Tensor]]:
    """Train and mix two devices on a path without any of the library."""
    models, pulls = [net(), net()], [{}, {}]
    for _ in range(rounds):
        for k, model in enumerate(models):
            made = torch.optim.SGD(model.parameters(), lr=0.1)
            generator = torch.Generator().manual_seed(k)
            for _ in range(STEPS):
                x = torch.randn(5, 3, generator=generator)
                made.zero_grad()
                ((model(x) - k) ** 2).mean().backward()
                made.step()
                for name, parameter in model.named_parameters():
                    if pulls[k]:
                        parameter.data += strength * pulls[k][name] / STEPS
        states = [
            {n: t.clone() for n, t in m.state_dict().items() if t.is_floating_point()}
            for m in models
        ]
        for k, model in enumerate(models):
            pulls[k] = {n: 0.5 * (states[1 - k][n] - t) for n, t in states[k].items()}
            model.load_state_dict(
                {**model.state_dict(), **{n: t + pulls[k][n] for n, t in states[k].items()}}
            )
    return [m.state_dict() for m in models]


@pytest.mark.parametrize("make", [message_app, client_app])
def test_a_users_own_loop_is_corrected_by_one_line(make) -> None:
    relay = Kept()
    start = net().state_dict()
    initial = ArrayRecord(start)
    if make is client_app:  # which sends arrays without names
        initial = ArrayRecord([value.numpy() for value in start.values()])
    strategy = P2PL("path", algorithm=PULLED, relay=relay, evaluate_every=0)
    strategy.start(LocalGrid(make(relay), 2), initial, 3)
    for device, expected in enumerate(by_hand(3, 0.5)):
        found = dict(zip(expected, relay.last[device].values(), strict=True))
        for name, tensor in expected.items():
            np.testing.assert_allclose(found[name], tensor.numpy(), rtol=1e-4, atol=1e-5)


def test_under_other_strategies_the_line_does_nothing() -> None:
    results = []
    for correct in (True, False):
        app = message_app(MemoryRelay(), correct=correct)
        strategy = FedAvg(fraction_evaluate=0.0)
        result = strategy.start(LocalGrid(app, 2), ArrayRecord(net().state_dict()), 2)
        results.append(result.arrays.to_torch_state_dict())
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])
    assert local_correction() == {}


def test_wrong_steps_and_another_model_are_refused() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for steps in (0, -1, 2.5, True):
        with pytest.raises(ConfigError, match="steps="):
            corrected(optimizer, model, steps=steps)
    for arrays in ({"other": np.ones(3)}, {"0.weight": np.ones(3)}):
        with correcting(True, arrays), pytest.raises(LayoutError, match="give the model that is"):
            corrected(optimizer, model, steps=1)
    assert corrected(optimizer, model, steps=np.int64(3)) is optimizer


def test_an_optimizer_corrects_once_a_step_whatever_it_is() -> None:
    model = net()
    weights = {n: np.full(p.shape, 2.0, np.float32) for n, p in model.named_parameters()}
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    with correcting(True, weights):
        optimizer = corrected(torch.optim.Adam(model.parameters(), lr=0.0), model, steps=4)
    for _ in range(4):
        model(torch.ones(5, 3)).sum().backward()
        optimizer.step()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.detach(), before[name] + 2)


def test_the_correction_may_be_changed_by_who_asked_for_it() -> None:
    kept = {"w": np.ones(2)}
    kept["w"].flags.writeable = False  # as what comes from a relay
    with correcting(True, kept):
        local_correction()["w"] *= 3
        assert local_correction()["w"].tolist() == [1, 1]
    assert kept["w"].tolist() == [1, 1]
