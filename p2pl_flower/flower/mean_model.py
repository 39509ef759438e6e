"""What stands for a global model where one is asked for: the mean of all devices' models."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from typing import Any

from flwr.app import ArrayRecord, MetricRecord

from ..errors import P2PLError
from ..named_arrays import Model, mean_model
from ..sharing import Sharing
from . import messages

log = logging.getLogger("flwr.p2pl")

EvaluateFunction = Callable[[int, ArrayRecord], MetricRecord | None]


class MeanModel:
    """The mean of the models at the moment it is asked for.

    Parameters
    ----------
    initial : Model
        What the arrays that stay at home are in it.
    sharing : Sharing
        Which arrays those are.
    models : Callable[[], Mapping[int, Model]]
        Returns all devices' current models.
    moment : Callable[[], tuple[int, int]]
        Returns the round, and a number that changes whenever models may have changed.
    """

    def __init__(
        self,
        initial: Model,
        sharing: Sharing,
        models: Callable[[], Mapping[int, Model]],
        moment: Callable[[], tuple[int, int]],
    ) -> None:
        self._initial, self._sharing, self._models = initial, sharing, models
        self.moment = moment
        self._read_at: tuple[int, int] | None = None
        self._arrays = ArrayRecord()

    def arrays(self) -> ArrayRecord:
        """Return it as Flower's arrays."""
        if self._read_at != self.moment():
            self._arrays = self._of(self._models())
            self._read_at = self.moment()
        return self._arrays

    def _of(self, models: Mapping[int, Model]) -> ArrayRecord:
        seen = [
            {name: array for name, array in model.items() if self._sharing.takes(name)}
            for model in models.values()
        ]
        return messages.to_arrays({**self._initial, **mean_model(seen)})

    def given_to(self, evaluate_fn: EvaluateFunction) -> EvaluateFunction:
        """Return a function that evaluates it in place of what it is given."""
        self.warn_of_personal()
        return lambda server_round, _: evaluate_fn(server_round, self.arrays())

    def warn_of_personal(self) -> None:
        """Say which arrays of it are no trained ones."""
        if personal := self._sharing.personal(self._initial):
            log.warning(
                "evaluate_fn gets a mean model whose %s are those of initial_arrays: the trained "
                "ones stay on the devices, and @app.evaluate() scores those",
                ", ".join(personal),
            )


class RoundArrays(ArrayRecord):
    """What `P2PL.aggregate_train` returns as the aggregated arrays: the mean model of a round.

    It is read when somebody looks into it, in the round that it belongs to: the mean of the
    trained models before consensus, and that of the mixed ones after it. Where nobody looks,
    nothing is computed.
    """

    def __init__(self, mean: MeanModel) -> None:
        super().__init__()
        vars(self).update(_mean=mean, _round=mean.moment()[0], _read_at=None)

    def read(self) -> None:
        """Look at the models now, if the round is not over; else keep what was read in it.

        Raises
        ------
        P2PLError
            The round is over, and nobody looked while it was not.
        """
        own = vars(self)
        moment = own["_mean"].moment()
        if moment[0] != own["_round"] and own["_read_at"] is None:
            raise P2PLError(
                f"these arrays are the mean model of round {own['_round']}, and round {moment[0]} "
                "has begun: look into them within their round, with `ArrayRecord(dict(arrays))` or "
                "`arrays.to_torch_state_dict()`"
            )
        if moment[0] == own["_round"] and moment != own["_read_at"]:
            arrays = own["_mean"].arrays()
            own["_read_at"] = own["_mean"].moment()
            for name in list(super().keys()):
                super().__delitem__(name)
            for name, array in arrays.items():
                super().__setitem__(name, array)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as plain arrays."""
        return ArrayRecord, (dict(self.items()),)

    def copy(self) -> ArrayRecord:  # type: ignore[override]
        """Return plain arrays."""
        return ArrayRecord(dict(self.items()))


def _reading(name: str) -> Callable[..., Any]:
    method = getattr(ArrayRecord, name)

    @functools.wraps(method)
    def read_first(self: RoundArrays, *args: Any, **options: Any) -> Any:
        self.read()
        return method(self, *args, **options)

    return read_first


for _name in (
    *("__getitem__", "__iter__", "__len__", "__contains__", "__eq__", "__repr__"),
    *("__setitem__", "__delitem__", "keys", "values", "items"),
):
    setattr(RoundArrays, _name, _reading(_name))
