"""Training of one device after the other, as a loop over modules does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from .grouped import TOGETHER, Grouped
from .inputs import IMAGES, Inputs
from .learner import Learner, Pass, Tensors
from .losses import loss_function
from .nested import Nested, call, each
from .optimizers import Optimizer
from .options import PRECISIONS, TrainOptions
from .samples import Batches
from .shortcuts import take_shortcuts
from .stack import is_held_once


class OneByOneLearner(Learner):
    """Loads each device's model into one module, and trains that.

    It takes every module and every optimizer. On a CPU convolutions are computed with the
    channels last, for which PyTorch's are quicker.
    """

    path = "one by one"

    def __init__(self, template: nn.Module, options: TrainOptions) -> None:
        super().__init__(template, options)
        self._loss = loss_function(options.loss)
        self._precision = PRECISIONS[options.train_precision]
        self._compiled_loss: Callable[[Nested, Tensor], Tensor] | None = None
        self.channels_last = has_convolutions(template)
        if self.channels_last:
            template.to(memory_format=torch.channels_last)
            take_shortcuts(template)
        grouped = self.channels_last and Grouped.suits(template)
        self._grouped = Grouped(template) if grouped else None
        self.together = TOGETHER if grouped else 1
        self._trained = {n: p for n, p in template.named_parameters() if p.requires_grad}
        named = template.named_parameters()
        self._borrowed = {n for n, p in named if not p.requires_grad}  # see `copy_of`
        state = template.state_dict()
        self._unsaved = {n: b.clone() for n, b in template.named_buffers() if n not in state}

    def train(self, model: Tensors, batches: Batches, pull: Tensors) -> None:
        """Train the devices of a chunk for a round, in place."""
        self.template.train()
        for row, device in enumerate(batches.devices.tolist()):
            self._load(model, row)
            optimizer = self._optimizer(device)
            added = [(self._trained[name], part[row]) for name, part in pull.items()]
            for x, y in batches.of_device(row):
                self._step(optimizer, x, y, added)
            self._keep(optimizer, batches, row)
            self._store(model, row)

    def inputs(self, x: Nested, precision: torch.dtype = torch.float32) -> Inputs:
        """Make inputs ready for the `passes` of many models."""
        if self._grouped is None:
            return super().inputs(x, precision)
        return Inputs.of(x, precision, IMAGES // 2)  # several devices have as many activations

    def passes(self, model: Tensors, inputs: Inputs) -> Iterator[Pass]:
        """Yield the devices' outputs batch by batch."""
        self.template.eval()
        kind, half = inputs.kind, inputs.precision != torch.float32
        for rows, outputs_of in self._forms(model):
            for number, x in enumerate(inputs.batches):
                with torch.autocast(kind, inputs.precision, enabled=half):
                    outputs = outputs_of(x)
                yield rows, number, outputs

    def _forms(self, model: Tensors) -> Iterator[tuple[slice, Callable[[Nested], list[Nested]]]]:
        """Yield devices, and what makes their outputs of inputs until the next are asked for."""
        count = len(next(iter(model.values())))
        if self._grouped is None:
            for row in range(count):
                self._load(model, row)
                yield slice(row, row + 1), lambda x: [self._outputs(x)]
        else:
            for start in range(0, count, TOGETHER):
                rows = range(start, min(start + TOGETHER, count))
                yield slice(rows.start, rows.stop), self._together(self._grouped, model, rows)

    def _together(
        self, grouped: Grouped, model: Tensors, rows: range
    ) -> Callable[[Nested], list[Nested]]:
        """Return what makes the outputs of several devices of inputs."""
        outputs_of = grouped.of(model, rows)
        return lambda x: [*outputs_of(self._as(x))]

    def _step(
        self, optimizer: Optimizer, x: Nested, y: Tensor, added: Sequence[tuple[Tensor, Tensor]]
    ) -> None:
        half = self._precision != torch.float32

        def gradient() -> Tensor:
            for weight in self._trained.values():
                weight.grad = None
            with torch.autocast(y.device.type, self._precision, enabled=half):
                loss = self._loss_form(len(y))(x, y)
            loss.backward()  # type: ignore[no-untyped-call]
            if self.options.clip_norm:
                nn.utils.clip_grad_norm_(self._trained.values(), self.options.clip_norm)
            return loss

        if isinstance(optimizer, torch.optim.LBFGS):
            optimizer.step(gradient)
        else:
            gradient()
            optimizer.step()
        with torch.no_grad():
            for weight, part in added:
                weight.add_(part)

    def _loss_form(self, samples: int) -> Callable[[Nested, Tensor], Tensor]:
        """Return the loss of a mini-batch of so many samples, compiled if that is asked for."""
        if not self.compiled or samples != self.options.batch_size:
            return self._loss_of
        if self._compiled_loss is None:
            self._compiled_loss = torch.compile(self._loss_of, dynamic=False)
        return self._compiled_loss

    def _loss_of(self, x: Nested, y: Tensor) -> Tensor:
        return self._loss(self._outputs(x), y)

    def _outputs(self, x: Nested) -> Nested:
        return call(self.template, each(self._as, x))

    def _as(self, x: Tensor) -> Tensor:
        if self.channels_last and x.dim() == 4:
            return x.contiguous(memory_format=torch.channels_last)
        return x

    def _optimizer(self, device: int) -> Optimizer:
        """Return the device's optimizer, with the state that it has kept."""
        made = self.options.make_optimizer(self._trained.values())
        kept = self.states.of(device) if self.states is not None else {}
        for name, parts in kept.items():
            weight = self._trained[name]
            made.state[weight] = {part: _like(value, weight) for part, value in parts.items()}
        return made

    def _keep(self, optimizer: Optimizer, batches: Batches, row: int) -> None:
        if self.states is None:
            return
        rows = batches.devices[row : row + 1]
        for name, weight in self._trained.items():
            self.states.keep(rows, name, optimizer.state.get(weight, {}), stacked=False)
        self.states.seen(rows)

    @torch.no_grad()
    def _load(self, model: Tensors, row: int) -> None:
        for name, tensor in self._parts():
            if name not in model:
                tensor.copy_(self._unsaved.get(name, tensor))
            elif is_held_once(model[name]):
                tensor.data = model[name][0]
            else:
                if name in self._borrowed:
                    tensor.data = tensor.data.clone()
                    self._borrowed.discard(name)
                tensor.copy_(model[name][row])

    @torch.no_grad()
    def _store(self, model: Tensors, row: int) -> None:
        for name, tensor in self._parts():
            if name in model and not is_held_once(model[name]):
                model[name][row] = tensor

    def _parts(self) -> Iterator[tuple[str, Tensor]]:
        yield from self.template.named_parameters()
        yield from self.template.named_buffers()


def has_convolutions(module: nn.Module) -> bool:
    """Tell whether a module convolves images on a CPU."""
    return _has(module, nn.Conv2d | nn.ConvTranspose2d)


def is_quicker_one_by_one(module: nn.Module) -> bool:
    """Tell whether a module has layers for which the mapped way is the slower one.

    On a CPU these are convolutions, which PyTorch maps into grouped ones, and recurrent layers,
    whose steps through time it maps one by one.
    """
    return _has(module, _ConvNd | nn.RNNBase)


def _has(module: nn.Module, kinds: Any) -> bool:
    on_cpu = all(p.device.type == "cpu" for p in module.parameters())
    return on_cpu and any(isinstance(part, kinds) for part in module.modules())


def _like(value: Any, weight: Tensor) -> Any:
    """Return a copy of a part of a state, laid out as its parameter is."""
    if isinstance(value, Tensor) and value.shape == weight.shape:
        return torch.empty_like(weight, dtype=value.dtype).copy_(value)
    return value.clone() if isinstance(value, Tensor) else value
