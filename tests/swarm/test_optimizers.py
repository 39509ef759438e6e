"""Optimizers on stacked parameters against PyTorch's own, device by device."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from plain import difference, swarm, train
from torch import nn

from p2pl_flower.errors import ConfigError
from p2pl_flower.swarm import Machine, TrainOptions

COUNTS = (13, 4, 9, 1, 8)  # batches of 4: 4, 1, 3, 1 and 2 steps
RATE = 0.05


class Net(nn.Module):
    """A module that is no plain perceptron, with a scalar and an array without elements."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 5), nn.Linear(5, 3)
        self.scale = nn.Parameter(torch.tensor(1.5))
        self.nothing = nn.Parameter(torch.zeros(0, 3))

    def forward(self, x):
        return self.last(torch.tanh(self.first(x)) * self.scale) + self.nothing.sum(0)


def double() -> nn.Module:
    return Net().double()


def data(dtype=torch.float32):
    generator = torch.Generator().manual_seed(3)
    return [
        (
            torch.randn(n, 6, generator=generator, dtype=dtype),
            torch.randint(0, 3, (n,), generator=generator),
        )
        for n in COUNTS
    ]


NAMED = {
    "sgd:momentum=0.9,nesterov=true,weight_decay=1e-2": partial(
        torch.optim.SGD, momentum=0.9, nesterov=True, weight_decay=1e-2
    ),
    "sgd:momentum=0.9,dampening=0.3": partial(torch.optim.SGD, momentum=0.9, dampening=0.3),
    "sgd": partial(torch.optim.SGD, momentum=0.5),
    "adam": torch.optim.Adam,
    "adam:beta1=0.5,amsgrad=true": partial(torch.optim.Adam, betas=(0.5, 0.999), amsgrad=True),
    "adamw:weight_decay=0.1": partial(torch.optim.AdamW, weight_decay=0.1),
    "rmsprop:centered=true,momentum=0.5": partial(torch.optim.RMSprop, centered=True, momentum=0.5),
    "adagrad:initial_accumulator_value=0.1": partial(
        torch.optim.Adagrad, initial_accumulator_value=0.1
    ),
}
OTHERS = [
    partial(getattr(torch.optim, name), **rest)
    for name, rest in (
        ("Adadelta", {}),
        ("Adamax", {}),
        ("NAdam", {}),
        ("RAdam", {}),
        ("ASGD", {"t0": 2, "lambd": 0.1}),
        ("Rprop", {}),
    )
]


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("path", ["torch.func", "one by one"])
@pytest.mark.parametrize(
    ("given", "plain"),
    [*NAMED.items(), *((maker, maker) for maker in OTHERS)],
    ids=[*NAMED, *(maker.func.__name__ for maker in OTHERS)],
)
def test_every_optimizer_steps_as_it_does_alone(given, plain, path, keep) -> None:
    options = TrainOptions(
        batch_size=4, learning_rate=RATE, optimizer=given, reset_optimizer=not keep
    )
    made = swarm(double, data(torch.float64), options, machine=Machine(workers=1, path=path))
    expected = train(double, data(torch.float64), options, partial(plain, lr=RATE), keep=keep)
    assert made.block.path == path
    assert difference(made, expected) < 1e-9


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4, bias=False), nn.Linear(4, 3))


@pytest.mark.parametrize(("keep", "clip"), [(False, 0.0), (True, 0.3)])
@pytest.mark.parametrize(
    ("given", "plain"),
    [*NAMED.items(), *((maker, maker) for maker in OTHERS)],
    ids=[*NAMED, *(maker.func.__name__ for maker in OTHERS)],
)
def test_perceptrons_stay_on_their_path_with_every_optimizer(given, plain, keep, clip) -> None:
    options = TrainOptions(
        batch_size=4,
        learning_rate=RATE,
        optimizer=given,
        reset_optimizer=not keep,
        clip_norm=clip,
    )
    made = swarm(perceptron, data(), options)
    assert made.block.path == "perceptron"
    expected = train(perceptron, data(), options, partial(plain, lr=RATE), keep=keep)
    apart = difference(made, expected)
    assert apart < (1e-3 if "rmsprop" in str(given) else 1e-4)  # it divides by small gradients


@pytest.mark.parametrize("machine", [Machine(chunk=1, workers=1), Machine(chunk=2, workers=2)])
def test_kept_states_do_not_depend_on_chunks(machine) -> None:
    options = TrainOptions(batch_size=4, optimizer="adam", reset_optimizer=False)
    expected = swarm(Net, data(), options, rounds=3)
    other = swarm(Net, data(), options, rounds=3, machine=machine)
    models = [expected.stack.model(k) for k in range(len(COUNTS))]
    assert difference(other, models) < 1e-6


@pytest.mark.parametrize("path", ["torch.func", "one by one"])
def test_gradients_are_clipped_by_each_devices_own_norm(path) -> None:
    options = TrainOptions(batch_size=4, learning_rate=RATE, clip_norm=0.3)
    made = swarm(Net, data(), options, machine=Machine(workers=1, path=path))
    sgd = partial(torch.optim.SGD, lr=RATE, momentum=0.5)
    assert difference(made, train(Net, data(), options, sgd)) < 1e-6
    free = TrainOptions(batch_size=4, learning_rate=RATE)
    assert difference(made, train(Net, data(), free, sgd)) > 1e-3


def test_groups_may_follow_from_the_shapes_of_a_devices_own_parameters() -> None:
    def make(params):
        matrices = [p for p in params if p.dim() > 1]
        others = [p for p in params if p.dim() <= 1]
        return torch.optim.AdamW(
            [{"params": matrices, "weight_decay": 0.5}, {"params": others, "lr": 0.2}], lr=RATE
        )

    options = TrainOptions(batch_size=4, optimizer=make)
    made = swarm(Net, data(), options)
    assert made.block.path == "torch.func"
    assert difference(made, train(Net, data(), options, make)) < 1e-6


class Normed(torch.optim.Optimizer):
    """Steps of length lr, whatever the gradient: not elementwise."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None and p.numel():
                    p -= group["lr"] * p.grad / (p.grad.norm() + 1e-9)


@pytest.mark.parametrize("given", [Normed, partial(torch.optim.Muon, lr=RATE)], ids=["own", "Muon"])
def test_an_optimizer_that_looks_at_more_than_a_number_goes_one_by_one(given, caplog) -> None:
    factory = lambda: nn.Sequential(nn.Linear(6, 5, bias=False), nn.Linear(5, 3, bias=False))  # noqa: E731
    options = TrainOptions(batch_size=4, learning_rate=RATE, optimizer=given)
    made = swarm(factory, data(), options)
    assert made.block.path == "one by one"
    assert "does not act on each number for itself" in caplog.text
    plain = partial(given, lr=RATE)
    assert difference(made, train(factory, data(), options, plain)) < 1e-6


def test_lbfgs_is_given_its_closure() -> None:
    options = TrainOptions(batch_size=4, learning_rate=RATE, optimizer=torch.optim.LBFGS)
    made = swarm(double, data(torch.float64), options, rounds=1)
    assert all(bool(tensor.isfinite().all()) for tensor in made.stack.tensors.values())
    with pytest.raises(ConfigError, match="reset-optimizer=False: the optimizer keeps"):
        swarm(Net, data(), TrainOptions(optimizer=torch.optim.LBFGS, reset_optimizer=False))


class Unused(Net):
    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Linear(2, 2)


def test_what_no_gradient_reaches_is_left_alone() -> None:
    options = TrainOptions(batch_size=4, learning_rate=RATE, optimizer="adamw:weight_decay=0.5")
    made = swarm(Unused, data(), options)
    plain = partial(torch.optim.AdamW, lr=RATE, weight_decay=0.5)
    assert made.block.path == "torch.func"
    assert difference(made, train(Unused, data(), options, plain)) < 1e-6


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("constant", [1, 1, 1, 1, 1]),
        ("step:every=2,factor=0.5", [1, 1, 0.5, 0.5, 0.25]),
        ("cosine:rounds=4", [1, 0.853553, 0.5, 0.146447, 0]),
        ("cosine:rounds=4,least=0.2,warmup=2", [1 / 3, 2 / 3, 1, 0.6, 0.2]),
        (lambda number: 1 / number, [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5]),
    ],
)
def test_the_rate_goes_by_its_schedule(text, rates) -> None:
    options = TrainOptions(learning_rate=2.0, learning_rate_schedule=text)
    found = [options.in_round(number).learning_rate for number in range(1, 6)]
    assert found == pytest.approx([2 * rate for rate in rates], abs=1e-6)
    own = TrainOptions(learning_rate_schedule=text, optimizer=lambda p: torch.optim.SGD(p, lr=3.0))
    [group] = own.in_round(2).make_optimizer([torch.zeros(1)]).param_groups
    assert group["lr"] == pytest.approx(3 * rates[1], rel=1e-5)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"optimizer": "sdg"}, "optimizer='sdg': unknown name; choose one of: adagrad, adam"),
        ({"optimizer": "adam:betas=1"}, "unknown parameter 'betas'; choose one of: beta1"),
        ({"optimizer": "adam:beta1=1.5"}, "Invalid beta parameter"),
        ({"optimizer": "sgd:nesterov=true", "momentum": 0.0}, "nesterov needs a momentum"),
        ({"optimizer": 3}, "optimizer=3: must be text, a class"),
        ({"optimizer": "adam", "momentum": 0.9}, "momentum=0.9: is that of optimizer='sgd'"),
        ({"learning_rate_schedule": "cosine:rounds=0"}, "needs rounds > warmup"),
        ({"learning_rate_schedule": 0.5}, "must be text, or a function from a round's number"),
        ({"loss": "mes"}, "loss='mes': unknown name; choose one of: cross-entropy, mse"),
        ({"loss": nn.MSELoss}, "an instance of a module's class will do"),
        ({"clip_norm": -1.0}, r"clip-norm=-1.0: must be in \[0, inf\)"),
        ({"train_precision": "half"}, "train-precision='half': unknown name"),
        ({"transform": "flip"}, "transform='flip': must be a function"),
    ],
)
def test_options_are_checked_when_they_are_made(given, words) -> None:
    with pytest.raises(ConfigError, match=words):
        TrainOptions(**given)


def test_a_schedule_that_gives_no_factor_is_refused() -> None:
    with pytest.raises(ConfigError, match="must give factors of 0 or more, but round 3 has -1"):
        TrainOptions(learning_rate_schedule=lambda _: -1.0).in_round(3)
