"""Initial models: each device's from its own seed, wherever they are kept or forgotten."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from p2pl_flower.algorithms.max_norm import Candidates
from p2pl_flower.errors import ConfigError, LayoutError
from p2pl_flower.sharing import Sharing
from p2pl_flower.swarm.drawing import Draws, draw
from p2pl_flower.swarm.stack import Stack, as_arrays

DEVICES = 5
SEEDS = [11 * k + 3 for k in range(DEVICES)]


def tied() -> nn.Module:
    module = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4))
    module[2].weight = module[0].weight
    return module


def alone(device: int) -> dict[str, torch.Tensor]:
    return draw(tied, SEEDS[device]).state_dict()


def stack_of(**options) -> Stack:
    return Stack(tied(), DEVICES, **options)


@pytest.mark.parametrize("scope", ["model", "tensor"])
def test_norms_are_those_that_each_device_claims(scope) -> None:
    found = Draws(stack_of(), tied, SEEDS).norms(scope)
    for device in range(DEVICES):
        whole = as_arrays(alone(device))
        shared = Sharing().part(whole)
        claimed = Candidates.of(shared, scope, device).norms
        if scope == "tensor":  # a tied parameter is compared once, under its first name
            [tied_twice] = [i for i, name in enumerate(shared) if name == "2.weight"]
            claimed = np.delete(claimed, tied_twice)
            claimed[0] *= np.sqrt(2)
        np.testing.assert_allclose(found[device], claimed, rtol=1e-6)


def test_of_a_tied_parameter_the_name_counts_that_is_loaded_last() -> None:
    shared = Sharing.of("!0.weight")
    stack = stack_of(shared=shared)
    assert "0.weight" in stack.mixed
    found = Draws(stack, tied, SEEDS).norms("model")
    for device in range(DEVICES):
        claimed = Candidates.of(shared.part(as_arrays(alone(device))), "model", device).norms
        np.testing.assert_allclose(found[device], claimed, rtol=1e-6)
    with pytest.raises(ConfigError, match=r"takes '0\.weight', which '2\.weight' replaces"):
        stack_of(shared=Sharing.of("!2.weight"))


def test_every_device_gets_the_tensors_of_whom_it_follows() -> None:
    stack = stack_of()
    draws = Draws(stack, tied, SEEDS)
    draws.norms("model")
    origins = np.array([[2], [2], [4], [3], [2]])
    draws.give(origins)
    for device, [origin] in enumerate(origins.tolist()):
        drawn = alone(origin)
        for name, tensor in stack.model(device).items():
            if name in stack.mixed:
                assert torch.equal(tensor, drawn[name])


def test_tensors_that_stay_at_home_are_each_devices_own() -> None:
    stack = stack_of(shared=Sharing(("*", "!1.*")))
    draws = Draws(stack, _shifted, SEEDS)
    draws.norms("model")
    draws.give(np.full((DEVICES, 1), 3))
    for device in range(DEVICES):
        assert float(stack.tensors["1.weight"][device][0]) == SEEDS[device]
        assert torch.equal(stack.tensors["0.bias"][device], _shifted(SEEDS[3])[0].bias.detach())


def test_one_seed_serves_all_with_the_whole_model() -> None:
    stack = stack_of(shared=Sharing(("*", "!1.*")))
    draws = Draws(stack, _shifted, SEEDS[:1])
    assert draws.norms("model").shape == (DEVICES, 1)
    draws.give(np.zeros((DEVICES, 1), np.int64))
    assert (stack.tensors["1.weight"] == SEEDS[0]).all()
    assert (stack.tensors["0.bias"] == stack.tensors["0.bias"][0]).all()


def test_drawing_leaves_pytorch_as_it_was() -> None:
    torch.manual_seed(5)
    expected, threads = torch.rand(3), torch.get_num_threads()
    torch.manual_seed(5)
    draws = Draws(stack_of(), tied, SEEDS)
    torch.manual_seed(5)
    draws.give(np.arange(DEVICES)[:, np.newaxis] * (draws.norms("model") > 0))
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


def test_another_class_than_the_first_is_refused() -> None:
    draws = Draws(stack_of(), lambda seed: tied() if seed == SEEDS[0] else nn.Linear(4, 4), SEEDS)
    with pytest.raises(LayoutError, match="same class"):
        draws.norms("model")


def _shifted(seed: int) -> nn.Module:
    module = draw(tied, seed)
    nn.init.constant_(module[1].weight, seed)
    return module


class Known:
    """A factory that knows what it draws, and is asked for no module then."""

    def __call__(self, seed: int) -> nn.Module:
        raise AssertionError(seed)

    def drawn(self, seed: int) -> dict[str, torch.Tensor]:
        return draw(tied, seed).state_dict()


def test_what_a_factory_knows_of_its_draws_is_drawn_in_tasks_to_the_same_models() -> None:
    stacks, tasks = [stack_of(), stack_of()], []

    def do(task, items) -> None:
        for item in reversed(list(items)):
            tasks.append(item)
            task(item)

    norms = []
    for stack, factory in zip(stacks, (tied, Known()), strict=True):
        draws = Draws(stack, factory, SEEDS)
        norms.append(draws.norms("tensor", do))
        draws.give(np.array([[1], [4], [4], [0], [2]]))
    assert tasks == [range(DEVICES)]  # the tied one's are drawn in turn
    np.testing.assert_array_equal(*norms)
    for name, tensor in stacks[0].tensors.items():
        assert torch.equal(tensor, stacks[1].tensors[name])
