"""What stands for a global model where one is asked for: the mean of all devices' models."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from flwr.app import ArrayRecord, MetricRecord

from ..consensus import Model, mean_model
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
    """

    def __init__(
        self, initial: Model, sharing: Sharing, models: Callable[[], Mapping[int, Model]]
    ) -> None:
        self._initial, self._sharing, self._models = initial, sharing, models

    def arrays(self) -> ArrayRecord:
        """Return it as Flower's arrays."""
        seen = [
            {name: array for name, array in model.items() if self._sharing.takes(name)}
            for model in self._models().values()
        ]
        return messages.to_arrays({**self._initial, **mean_model(seen)})

    def given_to(self, evaluate_fn: EvaluateFunction) -> EvaluateFunction:
        """Return a function that evaluates it in place of what it is given."""
        if personal := self._sharing.personal(self._initial):
            log.warning(
                "evaluate_fn gets a mean model whose %s are those of initial_arrays: the trained "
                "ones stay on the devices, and @app.evaluate() scores those",
                ", ".join(personal),
            )
        return lambda server_round, _: evaluate_fn(server_round, self.arrays())
