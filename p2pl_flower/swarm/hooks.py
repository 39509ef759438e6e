"""An algorithm's hooks on all devices at once: its arrays are stacks of tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from ..algorithms import Algorithm
from ..algorithms.codecs import Coder, layout_of, moved
from ..algorithms.mixing import MixingRule
from ..named_arrays import Layout
from .hostile import NOBODY, Hostile
from .mixing import Mixing, folded
from .robust import combined
from .sending import Sender, state_from, state_of
from .stack import Stack, as_arrays, rows_of
from .workers import Do, Ids, in_turn

Stacked = dict[str, Tensor]

_CODEC = "codec: "
_EXACT = Coder()


class Hooks:
    """What an algorithm keeps and sends, for the devices of a stack.

    Hooks see the devices that take part alone; what the others keep stays as it was. What
    a device has not kept yet counts as zeros.

    Parameters
    ----------
    algorithm : Algorithm
        The algorithm.
    stack : Stack
        The models.
    mixing : MixingRule
        How messages are mixed.
    coder : Coder
        What is sent of them.
    seed : int
        Seed of everything.
    hostile : Hostile
        Who lies to neighbors.

    Attributes
    ----------
    state : dict[str, dict[str, Tensor]]
        What devices keep, each tensor of shape (K, ...).
    """

    def __init__(
        self,
        algorithm: Algorithm,
        stack: Stack,
        mixing: MixingRule,
        coder: Coder = _EXACT,
        seed: int = 0,
        hostile: Hostile = NOBODY,
    ) -> None:
        self._algorithm, self._stack, self._rule = algorithm, stack, mixing
        self._coder, self._sender = coder, Sender(coder, seed, stack.devices)
        self._public: Stacked = {}
        self._hostile = hostile
        self._is_product = mixing.is_weighted_sum and algorithm.is_weighted_sum
        self.state: dict[str, Stacked] = {}
        self._message: Stacked = {}
        self._mixes_on = True

    def start(self, first: int = 0, total: int | None = None) -> None:
        """Make what devices keep before their first training.

        Parameters
        ----------
        first : int
            Which device of the run is the stack's first.
        total : int or None
            How many there are in the run; None for as many as in the stack.
        """
        models, count = self._models(), self._stack.devices
        if self._algorithm.knows_place:
            place = np.eye(count, total or count, first, np.float32)
            state = self._algorithm.start_at(models, (count,), place)
        else:
            state = self._algorithm.start(models, (count,))
        self.state = {part: _copies(tensors) for part, tensors in state.items()}
        self._sender.begin(self._models())

    def before_training(self, devices: Ids) -> Stacked:
        """Set what devices train from; return the corrections, shape (K, ...), empty for none."""
        if self._algorithm.is_plain or not len(devices):
            return {}
        rows = rows_of(devices)
        model, correction, state = self._algorithm.before_training(
            _rows(self._models(), rows), self._state_of(rows)
        )
        self._keep(rows, state)
        self._set_models(rows, model)
        return {name: self._whole(tensor, rows) for name, tensor in (correction or {}).items()}

    def after_training(self, devices: Ids) -> None:
        """Make the messages of devices that have trained."""
        self._message = self._models()
        if self._algorithm.is_plain or not len(devices):
            return
        rows = rows_of(devices)
        trained, state = _rows(self._message, rows), self._state_of(rows)
        message, kept = self._algorithm.after_training(trained, state)
        theirs = {t.data_ptr() for tensors in (trained, *state.values()) for t in tensors.values()}
        self._message = {
            name: self._message[name]
            if tensor is trained.get(name)  # the model itself is sent: it is mixed where it lies
            else self._whole(tensor.clone() if tensor.data_ptr() in theirs else tensor, rows)
            for name, tensor in message.items()
        }
        self._keep(rows, kept)

    def steps(self, mixings: Iterable[Mixing]) -> Iterable[Mixing]:
        """Return a round's consensus steps, as few as do the same."""
        plain = self._algorithm.is_plain and self._is_product and self._coder.is_exact
        if not plain or len(self._hostile.devices):
            return self._until_last(mixings)
        return folded(mixings, self._stack.mixed_size)

    def _until_last(self, mixings: Iterable[Mixing]) -> Iterator[Mixing]:
        """Note which step is the last: nobody mixes its message any more."""
        ahead = iter(mixings)
        step = next(ahead, None)
        while step is not None:
            following = next(ahead, None)
            self._mixes_on = following is not None
            yield step
            step = following
        self._mixes_on = True

    def send(self, mixing: Mixing) -> None:
        """Make what neighbors know the messages by in a step, where they are encoded."""
        if self._coder.is_exact:
            return
        if not len(self._message):
            self._message = self._models()
        self._public = self._sender.public(self._message, mixing.active, mixing.moment)

    def messages(self, devices: Ids) -> Stacked:
        """Return what devices have sent, each tensor of shape (devices, ...)."""
        return _rows(self._public or self._message or self._models(), torch.from_numpy(devices))

    def mix(self, mixing: Mixing, do: Do = in_turn, beside: Stacked | None = None) -> None:
        """Make a consensus step with the messages, and models of what comes of it.

        Parameters
        ----------
        mixing : Mixing
            The step.
        do : Do
            Does parts of it: side by side on worker threads, say.
        beside : mapping or None
            What devices elsewhere have sent, where the step hears them (see `Mixing.part`).
        """
        if not len(self._message):
            self._message = self._models()
        if len(self._hostile.devices):
            mixing, beside = self._hostile.heard(self._message, mixing)
        plain = self._algorithm.is_plain and self._is_product
        looks_back = not plain and self._algorithm.looks_back
        sent = _copies(self._message) if looks_back else self._message
        if self._public:
            self._move(mixing, do, beside)
        elif self._is_product:
            mixing.apply(self._message, do, beside)
        else:
            self._message = self._combined(self._message, mixing, beside or {}, do)
        devices = np.flatnonzero(mixing.active)
        if plain or not len(devices):
            return
        rows = rows_of(devices)
        model, state = self._algorithm.after_mixing(
            _rows(sent, rows), _rows(self._message, rows), self._state_of(rows), mixing.gamma
        )
        self._keep(rows, state)
        if self._mixes_on:
            self._set_apart(rows, model)
        self._set_models(rows, model)

    def _move(self, mixing: Mixing, do: Do, beside: Stacked | None) -> None:
        """Move messages by what a step makes of the public ones."""
        before, self._public = self._public, {}
        if self._is_product:
            after = _copies(before)
            mixing.apply(after, do, beside)
        else:
            after = self._combined(before, mixing, beside or {})
        for name, tensor in moved(self._message, before, after).items():
            self._message[name].copy_(tensor)

    @property
    def layout(self) -> Layout:
        """Shapes and dtypes of what one device sends in a consensus step."""
        if self._algorithm.is_plain or not self._message:
            return self._stack.layout
        return layout_of(self._message, (self._stack.devices,))

    def tensors(self) -> Stacked:
        """Return what devices keep as one level of names, for a checkpoint."""
        kept = {f"{_CODEC}{name}": t for name, t in state_of(self._sender.kept).items()}
        return {**state_of(self.state), **kept}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `tensors` returned."""
        own = {name: t for name, t in tensors.items() if not name.startswith(_CODEC)}
        kept = {n.removeprefix(_CODEC): t for n, t in tensors.items() if n.startswith(_CODEC)}
        self.state, self._sender.kept = state_from(own), state_from(kept)

    def _combined(
        self, messages: Stacked, mixing: Mixing, beside: Stacked, do: Do = in_turn
    ) -> Stacked:
        """Return messages after a step that is no weighted sum."""
        if not self._rule.is_weighted_sum:
            together = combined(self._rule, messages, beside, mixing, do)
            if together is not None:
                return together
        after, count = _copies(messages), self._stack.devices
        for device in np.flatnonzero(mixing.active).tolist():
            row = mixing.row(device)
            received = {
                j: _rows(messages, j) if j < count else _rows(beside, j - count) for j in row
            }
            own = _rows(messages, device)
            for name, tensor in self._combine(own, received, row, mixing.gamma).items():
                after[name][device] = tensor
        return after

    def _combine(
        self,
        own: Stacked,
        received: Mapping[int, Stacked],
        row: Mapping[int, float],
        gamma: float,
    ) -> Mapping[str, Tensor]:
        """Return one device's message after a step; mixing rules see NumPy's arrays."""
        if self._rule.is_weighted_sum:
            return self._algorithm.combine(own, received, row, gamma)
        arrays = {j: as_arrays(message) for j, message in received.items()}
        mixed = self._rule.combine(as_arrays(own), arrays, row, gamma)
        return {name: torch.from_numpy(np.asarray(array)) for name, array in mixed.items()}

    def _models(self) -> Stacked:
        return {name: self._stack.tensors[name] for name in self._stack.mixed}

    def _set_apart(self, rows: slice | Tensor, model: Mapping[str, Tensor]) -> None:
        """Let messages lie elsewhere than models that will be others: the next step mixes them."""
        for name, tensor in model.items():
            own = self._stack.tensors[name]
            if self._message.get(name) is own and not _is_view(tensor, own, rows):
                self._message[name] = own.clone()

    def _set_models(self, rows: slice | Tensor, model: Mapping[str, Tensor]) -> None:
        for name, tensor in model.items():
            own = self._stack.tensors[name]
            if not _is_view(tensor, own, rows):
                own[rows] = tensor

    def _state_of(self, rows: slice | Tensor) -> dict[str, Stacked]:
        return {part: _rows(tensors, rows) for part, tensors in self.state.items()}

    def _keep(self, rows: slice | Tensor, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Note what some devices keep now; where those are all, nothing else is left."""
        everybody = isinstance(rows, slice) and rows == slice(0, self._stack.devices)
        taken = self._storages()
        made: dict[str, Stacked] = {}
        for part, tensors in state.items():
            made[part] = {}
            for name, tensor in tensors.items():
                own = everybody and _lies_alone(tensor, taken)
                made[part][name] = tensor if own else self._kept(part, name, tensor, rows)
                taken.add(_storage(made[part][name]))
        self.state = made if everybody else {**self.state, **made}

    def _storages(self) -> set[int]:
        """Return where models and messages lie, which change under what is kept there."""
        return {_storage(t) for t in (*self._models().values(), *self._message.values())}

    def _kept(self, part: str, name: str, tensor: Tensor, rows: slice | Tensor) -> Tensor:
        own = self.state.get(part, {}).get(name)
        if own is None:
            own = torch.zeros(
                (self._stack.devices, *tensor.shape[1:]), dtype=tensor.dtype, device=tensor.device
            )
        if not _is_view(tensor, own, rows):
            own[rows] = tensor
        return own

    def _whole(self, tensor: Tensor, rows: slice | Tensor) -> Tensor:
        """Return a tensor of some devices as one of all, with zeros for the others."""
        count = self._stack.devices
        if len(tensor) == count:
            return tensor
        whole = torch.zeros((count, *tensor.shape[1:]), dtype=tensor.dtype, device=tensor.device)
        whole[rows] = tensor
        return whole


def _rows(tensors: Mapping[str, Tensor], rows: slice | Tensor | int) -> Stacked:
    return {name: tensor[rows] for name, tensor in tensors.items()}


def _copies(tensors: Mapping[str, Tensor]) -> Stacked:
    return {name: tensor.clone() for name, tensor in tensors.items()}


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _lies_alone(tensor: Tensor, taken: set[int]) -> bool:
    """Tell whether a tensor can be kept as it is: its numbers are nobody else's."""
    whole = tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.nbytes
    return whole and _storage(tensor) not in taken


def _is_view(tensor: Tensor, of: Tensor, rows: slice | Tensor) -> bool:
    """Tell whether a tensor already lies where it would be copied to."""
    return isinstance(rows, slice) and tensor.data_ptr() == of[rows].data_ptr()
