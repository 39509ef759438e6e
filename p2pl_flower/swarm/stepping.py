"""Steps of PyTorch's own optimizers on the stacked parameters of many devices."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .optimizers import Optimizer
from .options import TrainOptions
from .states import OptimizerStates

Tensors = Mapping[str, Tensor]
Kept = dict[str, dict[str, Tensor]]


@dataclass
class _Run:
    """Neighboring devices of a chunk that have made as many steps: one optimizer serves them.

    Attributes
    ----------
    start, stop : int
        Which of the chunk's devices.
    optimizer : Optimizer
        Over their part of the stacked parameters.
    """

    start: int
    stop: int
    optimizer: Optimizer


class StackedOptimizer:
    """An optimizer for each device of a chunk, all in one.

    An optimizer that changes each number by that number's own gradients does the same to a
    stack of parameters as to each of them. What it counts in steps, it counts for all: devices
    that have made unequal numbers of steps have optimizers of their own, and one that has no
    batch left takes no further part.

    Parameters
    ----------
    options : TrainOptions
        The round's options.
    template : Mapping[str, Tensor]
        A device's own parameters, from whose shapes groups of parameters may be made.
    weights : Mapping[str, Tensor]
        The trained parameters, each of shape (C, ...).
    devices : NDArray[int64], shape (C,)
        Whose they are.
    states : OptimizerStates or None
        What was kept of earlier rounds, and where the state is kept; None for neither.
    """

    def __init__(
        self,
        options: TrainOptions,
        template: Tensors,
        weights: Tensors,
        devices: NDArray[np.int64],
        states: OptimizerStates | None = None,
    ) -> None:
        self._weights, self._devices, self._states = weights, devices, states
        self._clip = options.clip_norm
        self._prototype = options.make_optimizer([template[name] for name in weights])
        self._groups = _groups(self._prototype, [template[name] for name in weights], weights)
        kept = [states.of(device) if states else {} for device in devices.tolist()]
        self._runs = [self._begin(start, stop, kept[start:stop]) for start, stop in _alike(kept)]

    @torch.no_grad()
    def step(self, gradients: Tensors, pull: Tensors) -> None:
        """Make a step with the first A devices, and add what corrects it.

        Parameters
        ----------
        gradients : Mapping[str, Tensor]
            Each of shape (A, ...); parameters that it lacks are left alone.
        pull : Mapping[str, Tensor]
            What is added to a parameter, shape (C, ...).
        """
        active = len(next(iter(gradients.values())))
        if self._clip:
            gradients = clipped(gradients, self._clip)
        for run in [run for run in self._runs if run.stop > active]:
            self._end(run, max(run.start, active))
        for run in self._runs:
            for group, names in zip(run.optimizer.param_groups, self._groups, strict=True):
                for weight, name in zip(group["params"], names, strict=True):
                    found = gradients.get(name)
                    weight.grad = None if found is None else found[run.start : run.stop]
            run.optimizer.step()
        for name, part in pull.items():
            if name in self._weights:
                self._weights[name][:active].add_(part[:active])

    def finish(self) -> None:
        """Keep the state of all devices that are still at it."""
        for run in list(self._runs):
            self._end(run, run.start)

    def _begin(self, start: int, stop: int, kept: Sequence[Kept]) -> _Run:
        """Return the optimizer of some devices, with the state that they have kept."""
        optimizer = _over(self._prototype, self._parts(start, stop))
        for group, names in zip(optimizer.param_groups, self._groups, strict=True):
            for weight, name in zip(group["params"], names, strict=True):
                parts = [entry[name] for entry in kept if name in entry]
                if parts:
                    optimizer.state[weight] = _stacked(parts)
        return _Run(start, stop, optimizer)

    def _end(self, run: _Run, stop: int) -> None:
        """Keep the state of a run's devices from ``stop`` on, which then take no further part."""
        gone, before = slice(stop - run.start, run.stop - run.start), run.optimizer
        rows = self._devices[stop : run.stop]
        left = _over(self._prototype, self._parts(run.start, stop)) if stop > run.start else None
        for place, (group, names) in enumerate(zip(before.param_groups, self._groups, strict=True)):
            for number, (weight, name) in enumerate(zip(group["params"], names, strict=True)):
                state = before.state.get(weight, {})
                if self._states is not None:
                    self._states.keep(rows, name, _rows(state, gone, weight), stacked=True)
                if left is not None:
                    mine = left.param_groups[place]["params"][number]
                    left.state[mine] = _rows(state, slice(0, gone.start), weight)
        if self._states is not None:
            self._states.seen(rows)
        if left is None:
            self._runs.remove(run)
        else:
            run.stop, run.optimizer = stop, left

    def _parts(self, start: int, stop: int) -> list[list[Tensor]]:
        """Return views of some devices' parameters, group by group."""
        return [[self._weights[n][start:stop].detach() for n in names] for names in self._groups]


def clipped(gradients: Tensors, most: float) -> dict[str, Tensor]:
    r"""Return gradients scaled by :math:`\min(1, c / (\|g\| + 10^{-6}))`, device by device.

    As `torch.nn.utils.clip_grad_norm_` does it.

    Parameters
    ----------
    gradients : Mapping[str, Tensor]
        Each of shape (A, ...).
    most : float
        c.
    """
    squares = [g.reshape(len(g), -1).square().sum(1) for g in gradients.values()]
    norms = sum(squares[1:], squares[0]).sqrt()
    scale = (most / (norms + 1e-6)).clamp(max=1.0)
    return {n: g * scale.to(g.dtype).view(-1, *[1] * (g.dim() - 1)) for n, g in gradients.items()}


def _groups(prototype: Optimizer, params: list[Tensor], names: Tensors) -> list[list[str]]:
    """Return the names of the parameters in each of an optimizer's groups."""
    by_id = {id(param): name for param, name in zip(params, names, strict=True)}
    return [[by_id[id(param)] for param in group["params"]] for group in prototype.param_groups]


def _over(prototype: Optimizer, parts: list[list[Tensor]]) -> Optimizer:
    """Return an optimizer with the groups' options of another, over other parameters."""
    groups = [
        {**group, "params": part} for group, part in zip(prototype.param_groups, parts, strict=True)
    ]
    kind: Any = type(prototype)
    known = inspect.signature(kind).parameters
    defaults = {k: v for k, v in getattr(prototype, "defaults", {}).items() if k in known}
    made: Optimizer = kind(groups, **defaults)
    return made


def _alike(kept: Sequence[Kept]) -> list[tuple[int, int]]:
    """Return the stretches of devices whose scalars, step counts above all, are the same."""
    scalars = [
        {
            (name, part): float(value)
            for name, parts in entry.items()
            for part, value in parts.items()
            if part in _SCALARS
        }
        for entry in kept
    ]
    ends = [k for k in range(1, len(kept)) if scalars[k] != scalars[k - 1]]
    return list(zip([0, *ends], [*ends, len(kept)], strict=True))


_SCALARS = ("step", "mu_product", "eta", "mu")
"""Parts of a state that PyTorch's optimizers keep once for a parameter."""


def _stacked(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return one state of those of several devices."""
    first = parts[0]
    return {
        part: first[part].clone() if part in _SCALARS else torch.stack([p[part] for p in parts])
        for part in first
    }


def _rows(state: Mapping[str, Any], rows: slice, weight: Tensor) -> dict[str, Any]:
    """Return the state of some of the devices that it is of."""
    return {
        part: value[rows]
        if isinstance(value, Tensor) and part not in _SCALARS and value.dim()
        else value.clone()
        if isinstance(value, Tensor)
        else value
        for part, value in state.items()
    }
