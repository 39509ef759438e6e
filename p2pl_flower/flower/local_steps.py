"""The correction that some algorithms make in each local step, inside the user's own loop.

`PeerApp` sets it while the user's train function runs, and sees whether it was asked for: an
algorithm that needs it must not train as another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, DeviceError, LayoutError
from ..named_arrays import Model

ADVICE = (
    "corrects each local step, and the train function does not add the correction: after it has "
    "made its optimizer, `optimizer = corrected(optimizer, model, steps=epochs * len(loader))` "
    "(from p2pl_flower import corrected); see docs/convert.md"
)


@dataclass
class _Correction:
    """What is to be corrected in a round's training, and whether that was asked for."""

    arrays: Model
    asked_for: bool

    def require_use(self, algorithm: str) -> None:
        """Refuse a training that did not ask for it: it would be another algorithm's."""
        if not self.asked_for:
            raise DeviceError(f"algorithm={algorithm!r} {ADVICE}")


_CURRENT: ContextVar[_Correction | None] = ContextVar("p2pl-correction", default=None)


@contextmanager
def correcting(needed: bool, correction: Mapping[str, Any] | None) -> Iterator[_Correction]:
    """Let what runs inside ask for a correction, if the algorithm needs one.

    Parameters
    ----------
    needed : bool
        Whether the algorithm corrects local steps at all.
    correction : Arrays or None
        What a round's local steps add to the model in all; None where there is nothing yet.
    """
    current = _Correction({n: np.asarray(a) for n, a in (correction or {}).items()}, not needed)
    token = _CURRENT.set(current if needed else None)
    try:
        yield current
    finally:
        _CURRENT.reset(token)


def local_correction() -> dict[str, NDArray[Any]]:
    """Return what this round's local steps add to the model in all, by array name.

    Each of H local steps adds 1/H of it. For training loops that are not PyTorch's; those take
    `corrected`. Empty where the algorithm needs none (or has none yet), and outside of P2PL. The
    arrays are the caller's own: the algorithm may keep what they are copies of.
    """
    return {name: np.array(array) for name, array in _asked_for().items()}


def corrected(optimizer: Any, model: Any, *, steps: int) -> Any:
    r"""Return a PyTorch optimizer that also makes the algorithm's correction in each step.

    .. math:: w \leftarrow \mathrm{step}(w) + D / H

    D is what the algorithm asks of the round, in the model's own units, and H the number of
    steps. Where nothing is to be corrected, under FedAvg say, the optimizer is left as it is.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        The optimizer of the train function; it is changed and returned.
    model : torch.nn.Module
        The model that it trains. Arrays are found by the names of its ``state_dict``, or by their
        place in it where a NumPyClient sends them without names.
    steps : int
        H, the steps that the train function makes in this round: epochs times batches.

    Raises
    ------
    ConfigError
        ``steps`` is no positive integer.
    LayoutError
        The model's parameters are not those that are mixed.
    """
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 1:
        raise ConfigError("steps", steps, "must be the number of local steps, 1 or more")
    arrays = _asked_for()
    if arrays:
        changes = [(weight, weight.new_tensor(a / steps)) for weight, a in _pairs(model, arrays)]

        def add(*_: Any) -> None:
            for weight, change in changes:
                weight.data.add_(change)

        optimizer.register_step_post_hook(add)
    return optimizer


def _asked_for() -> Model:
    """Return the correction, or nothing outside of P2PL, and note that it was asked for."""
    current = _CURRENT.get()
    if current is None:
        return {}
    current.asked_for = True
    return current.arrays


def _pairs(model: Any, arrays: Model) -> list[tuple[Any, NDArray[Any]]]:
    """Return trained parameters with their corrections."""
    names = list(model.state_dict())
    if not set(arrays) <= set(names) and all(name.isdecimal() for name in arrays):
        arrays = {
            names[int(place)]: array for place, array in arrays.items() if int(place) < len(names)
        }
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    found = [(trained[name], array) for name, array in arrays.items() if name in trained]
    wrong = [tuple(a.shape) for p, a in found if tuple(p.shape) != tuple(a.shape)]
    if not found or wrong:
        raise LayoutError(
            f"the correction is for arrays {sorted(arrays)[:5]}, and the model that was given to "
            f"`corrected` has {sorted(trained)[:5]}: give the model that is trained and returned"
        )
    return found
