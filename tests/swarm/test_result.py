"""The models come out, and go in again; what all devices have in common is held once."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from plain import difference, swarm, train
from safetensors.torch import load_file, save_file
from torch import nn

from p2pl_flower.errors import ConfigError
from p2pl_flower.history import History
from p2pl_flower.options import Options
from p2pl_flower.swarm import Gossip, Job, Machine, Swarm, TrainOptions, simulate
from p2pl_flower.topology import schedule

DEVICES = 3


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(6, 6), nn.Linear(6, 6, bias=False)
        self.two.weight = self.one.weight
        self.norm, self.last = nn.BatchNorm1d(6), nn.Linear(6, 3)

    def forward(self, x):
        return self.last(self.norm(self.two(torch.tanh(self.one(x)))))


def data(n: int = 8):
    generator = torch.Generator().manual_seed(6)
    return [
        (torch.randn(n, 6, generator=generator), torch.randint(0, 3, (n,), generator=generator))
        for _ in range(DEVICES)
    ]


def run(factory=Tied, rounds=2, **rest):
    rest = {"batch_size": 4, "progress": False, "test": data()[0], **rest}
    return simulate(factory, data(), "ring", rounds=rounds, **rest)


def test_every_device_s_model_fits_its_module() -> None:
    result = run()
    net, (x, y) = Tied().eval(), data()[0]
    losses = []
    for device in range(DEVICES):
        net.load_state_dict(result.state_dict(device))
        with torch.no_grad():
            losses.append(float(nn.functional.cross_entropy(net(x), y)))
    scored = result.final().after_consensus.loss
    assert scored.mean == pytest.approx(np.mean(losses), rel=1e-5)
    assert scored.max == pytest.approx(max(losses), rel=1e-5)
    with pytest.raises(ConfigError, match="device=3: must be from 0 to 2"):
        result.state_dict(DEVICES)


def test_what_was_taken_out_is_a_copy() -> None:
    result = run()
    before = result.state_dict(0)["last.bias"].clone()
    result.state_dict(0)["last.bias"].zero_()
    assert torch.equal(result.state_dict(0)["last.bias"], before)


def test_the_mean_is_that_of_all_devices() -> None:
    result = run()
    net = Tied()
    net.load_state_dict(result.mean())
    each = torch.stack([result.state_dict(k)["one.weight"] for k in range(DEVICES)])
    torch.testing.assert_close(result.mean()["two.weight"], each.mean(0))
    assert result.mean()["norm.num_batches_tracked"] == 4  # two rounds of two steps


def test_a_run_goes_on_from_what_was_saved(tmp_path) -> None:
    first = run()
    first.save(tmp_path / "models.safetensors")
    states = [first.state_dict(k) for k in range(DEVICES)]
    found = run(initial=tmp_path / "models.safetensors", rounds=1)
    same = run(initial=states, rounds=1)
    for device in range(DEVICES):
        for name, tensor in found.state_dict(device).items():
            assert torch.equal(tensor, same.state_dict(device)[name])
    assert not torch.equal(found.state_dict(0)["last.bias"], states[0]["last.bias"])
    assert "synchronization_steps" not in found.runs[0].setup
    assert load_file(tmp_path / "models.safetensors")["last.bias"].shape == (DEVICES, 3)


@pytest.mark.parametrize("how", ["mapping", "safetensors", "torch"])
def test_all_devices_can_begin_with_one_model(how, tmp_path) -> None:
    state, path = Tied().state_dict(), tmp_path / "model"
    given: object = state
    if how == "torch":
        torch.save(state, path)
        given = path
    elif how == "safetensors":
        save_file({name: tensor.clone() for name, tensor in state.items()}, path)
        given = str(path)
    result = run(initial=given, learning_rate=1e-30)
    torch.testing.assert_close(result.state_dict(2)["one.weight"], state["one.weight"])


def test_initial_models_that_do_not_fit_are_refused(tmp_path) -> None:
    text = tmp_path / "text"
    text.write_text("nothing")
    torch.save([1], tmp_path / "list")
    run().save(tmp_path / "three")
    two = data()[:2]
    for given, words in (
        ({}, "initial='a state dict': tensor 'one.weight' is missing"),
        ([Tied().state_dict()] * 2, "must be a state dict, or one for each of the 3 devices"),
        (tmp_path / "none", "there is no such file"),
        (text, "is neither safetensors nor a state dict"),
        (tmp_path / "list", "holds no state dict"),
    ):
        with pytest.raises(ConfigError, match=words):
            run(initial=given)
    with pytest.raises(ConfigError, match="holds the models of 3 devices, but there are 2"):
        simulate(Tied, two, "complete", rounds=1, initial=tmp_path / "three", progress=False)


def test_the_history_has_the_whole_configuration() -> None:
    result = run(
        optimizer="adam", loss=nn.functional.cross_entropy, metrics="top-k:k=2", clip_norm=1.0
    )
    found = result.history.scenario
    expected = {
        "topology": "ring",
        "rounds": 2,
        "num-devices": DEVICES,
        "weights": "metropolis",
        "algorithm": "p2pl",
        "links": "perfect",
        "seed": 0,
        "optimizer": "adam",
        "reset-optimizer": True,
        "loss": "torch.nn.functional.cross_entropy",
        "metrics": "top-k:k=2",
        "clip-norm": 1.0,
        "batch-size": 4,
        "path": "torch.func",
        "evaluate-every": 1,
    }
    assert {key: found.get(key) for key in expected} == expected
    assert result.runs[0].setup["path"] == "torch.func"
    assert History.from_json(result.history.to_json()) == result.history
    json.dumps(dict(found))


def test_unknown_options_are_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"optimiser='adam': unknown option .* optimizer"):
        run(optimiser="adam")


class Adapted(nn.Module):
    """A frozen base, the same on all devices, and an adapter of low rank."""

    base = torch.randn(6, 6, generator=torch.Generator().manual_seed(0))

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Parameter(self.base.clone(), requires_grad=False)
        self.down, self.up = nn.Linear(6, 2, bias=False), nn.Linear(2, 6, bias=False)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        return self.head(torch.tanh(x @ self.frozen.T + self.up(self.down(x))))


class Different(Adapted):
    def __init__(self) -> None:
        super().__init__()
        nn.init.normal_(self.frozen)


def unmixed(factory, path=None, workers=1) -> Swarm:
    options = Options(init="independent", consensus_steps=0, shared="!frozen")
    training = TrainOptions(batch_size=4, learning_rate=0.1)
    job = Job(
        factory,
        data(),
        data()[0],
        2,
        training=training,
        machine=Machine(path=path, workers=workers),
    )
    made = Swarm(job, Gossip(schedule("ring", DEVICES, 0), options, np.full(DEVICES, 8)))
    made.run()
    return made


@pytest.mark.parametrize("path", ["torch.func", "one by one"])
def test_a_frozen_base_is_held_once(path) -> None:
    made = unmixed(Adapted, path, workers=2)
    tensor = made.stack.tensors["frozen"]
    assert tensor.shape == (DEVICES, 6, 6)
    assert tensor.untyped_storage().nbytes() == 6 * 6 * 4
    assert made.stack.once_bytes == 6 * 6 * 4
    sgd = lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.5)  # noqa: E731
    options = TrainOptions(batch_size=4, learning_rate=0.1)
    assert difference(made, train(Adapted, data(), options, sgd)) < 1e-6
    assert torch.equal(made.stack.model(1)["frozen"], Adapted.base)


@pytest.mark.parametrize("path", ["torch.func", "one by one"])
def test_frozen_parameters_that_differ_are_each_device_s_own(path) -> None:
    made = unmixed(Different, path, workers=2)
    assert made.stack.tensors["frozen"].is_contiguous()
    sgd = lambda params: torch.optim.SGD(params, lr=0.1, momentum=0.5)  # noqa: E731
    options = TrainOptions(batch_size=4, learning_rate=0.1)
    assert difference(made, train(Different, data(), options, sgd)) < 1e-6


def test_a_frozen_base_survives_a_checkpoint(tmp_path) -> None:
    def begin(rounds: int) -> Swarm:
        options = Options(shared="!frozen")
        training = TrainOptions(batch_size=4, optimizer="adam", reset_optimizer=False)
        job = Job(Adapted, data(), None, rounds, training=training, checkpoint=tmp_path / "state")
        made = Swarm(job, Gossip(schedule("ring", DEVICES, 0), options, np.full(DEVICES, 8)))
        made.run()
        return made

    begin(1)
    resumed = begin(3)
    assert resumed.stack.once_bytes == 6 * 6 * 4
    (tmp_path / "state").unlink()
    whole = begin(3)
    models = [whole.stack.model(k) for k in range(DEVICES)]
    assert difference(resumed, models) == 0


def test_the_process_s_memory_is_left_alone_unless_asked(monkeypatch) -> None:
    told = []
    monkeypatch.setattr("p2pl_flower.swarm.workers.keep_for_reuse", lambda: told.append(1))
    run(rounds=1)
    assert not told
    run(rounds=1, machine=Machine(keep_memory=True))
    assert told


def test_half_precision_models_are_stacked_too() -> None:
    made = swarm(
        lambda: Adapted().bfloat16(), [(x.bfloat16(), y) for x, y in data()], TrainOptions()
    )
    assert made.stack.model_bytes == 2 * (36 + 12 + 12 + 21)


def test_the_report_shows_the_run(tmp_path):
    pairs, options = data(), Options(seed=1, links="bernoulli:up=0.5")
    result = simulate(Tied, pairs, "ring", options, rounds=2, test=pairs[0], progress=False)
    devices = result.final().after_consensus.devices
    assert len(devices) == DEVICES
    assert np.mean(devices) == pytest.approx(result.final().after_consensus.accuracy.mean, abs=1e-4)
    page = result.report(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "ring" in page
    assert f"{DEVICES} devices train" in page
