"""A mechanism of privacy on the models of many devices."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..algorithms.privacy import Privacy
from ..seeding import Stream, generator
from .stack import Stack, as_arrays
from .workers import Do, Ids, in_turn


def begun(privacy: Privacy, stack: Stack) -> dict[str, Tensor]:
    """Return what devices begin a round from, to be compared with; nothing without privacy."""
    if not privacy.is_private:
        return {}
    return {name: stack.tensors[name].clone() for name in stack.mixed}


def apply(
    privacy: Privacy,
    stack: Stack,
    before: Mapping[str, Tensor],
    devices: Ids,
    first: int,
    seed: int,
    number: int,
    do: Do = in_turn,
) -> None:
    """Make the models that devices have trained private, in place.

    Noise is drawn from the run's seed here, in a simulation: on a device it never is.

    Parameters
    ----------
    privacy, stack
        What is done to which models.
    before : Mapping[str, Tensor]
        What `begun` returned.
    devices : NDArray[int64]
        Who has trained, by places in the stack.
    first : int
        Which device of the run is the stack's first.
    seed, number : int
        The run's seed, and the round.
    """
    if not privacy.is_private:
        return

    def work(device: int) -> None:
        start = as_arrays({name: tensor[device] for name, tensor in before.items()})
        trained = as_arrays({name: stack.tensors[name][device] for name in before})
        draw = generator(seed, Stream.NOISE, first + device, number)
        for name, array in privacy.applied(start, trained, draw).items():
            tensor = stack.tensors[name]
            tensor[device] = torch.from_numpy(array).to(tensor)

    do(work, devices.tolist())
