"""How a device draws its initial model by the user's function, and what it tells of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from flwr.app import ArrayRecord
from numpy.typing import NDArray

from ..algorithms.max_norm import Candidates, bound_of
from ..errors import DeviceError
from ..named_arrays import Model
from ..options import Options
from ..seeding import Stream, common_start, derive, trial_draws
from . import messages


class Drawing:
    """What an init function makes of seeds.

    Parameters
    ----------
    function : Callable[[int], ArrayRecord]
        Draws a model from a seed.
    options : Options
        Those of the run.
    """

    def __init__(self, function: Callable[[int], Any], options: Options) -> None:
        self._function, self._options = function, options
        self._told: dict[str, Any] = {}

    def model(self, device: int) -> Model:
        """Return the initial model of a device.

        Raises
        ------
        DeviceError
            The function returned no model; or it is to draw the same one on all devices, and it
            does not do so here.
        """
        if self._options.init == "seed":
            return self._common()
        return self._drawn(derive(self._options.seed, Stream.INIT, device))

    def bound(self) -> NDArray[np.float64] | None:
        """Return the largest plausible norms, shape (G,), where the start is by these."""
        if self._options.init != "bounded-norm":
            return None
        scope, part = self._options.max_norm_scope, self._options.shared.part
        models = (self._drawn(seed) for seed in trial_draws(self._options.seed))
        return bound_of(np.stack([Candidates.of(part(m), scope, 0).norms for m in models]))

    def told(self) -> dict[str, Any]:
        """Return what is said of a model that all devices are to draw: a digest of its numbers."""
        return self._told

    def _common(self) -> Model:
        seed, part = common_start(self._options.seed), self._options.shared.part
        model = self._drawn(seed)
        digest = messages.numbers_digest(part(model))
        if messages.numbers_digest(part(self._drawn(seed))) != digest:
            raise DeviceError(
                "with init='seed' the init function must return the same arrays for the same seed, "
                "and returned others at its second call: let it draw all random numbers from the "
                "seed that it is given (torch.manual_seed(seed), say), or take init='max-norm'"
            )
        self._told = {messages.NUMBERS: digest}
        other = self._drawn(trial_draws(self._options.seed, 1)[0])
        if messages.numbers_digest(part(other)) == digest:
            self._told[messages.SEEDLESS] = True
        return model

    def _drawn(self, seed: int) -> Model:
        returned = self._function(seed)
        if not isinstance(returned, ArrayRecord):
            raise DeviceError(
                f"the init function returned {type(returned).__name__}, and must return an "
                "ArrayRecord: ArrayRecord(model.state_dict()), say"
            )
        return messages.to_model(returned)
