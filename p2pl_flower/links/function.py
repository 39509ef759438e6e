"""Links that a function of the user's own says are up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..errors import ConfigError
from .base import Links, Mask, ends

LinkFunction = Callable[[Any, Any, Any, Any], ArrayLike]


@dataclass(frozen=True)
class FunctionLinks(Links):
    """A link is up where ``function(i, j, round_number, step)`` says so.

    Parameters
    ----------
    function : callable
        A pure function of arrays of integers, i the smaller end of each link and j the larger
        one, that returns truths in the shape to which its arguments broadcast. Rounds and steps
        count from 0, as in `Links`.

    Raises
    ------
    ConfigError
        The function cannot be called so, or returns something else.
    """

    function: LinkFunction

    def __post_init__(self) -> None:
        try:
            self.up(np.arange(3), np.arange(3)[::-1], 1, 1)
        except ConfigError:
            raise
        except Exception as error:
            cause = f"{type(error).__name__}: {error}"
            rule = "must be a function of four arrays (i, j, round_number, step) of integers"
            raise ConfigError(
                "links", self.function, f"{rule}; called so it failed ({cause})"
            ) from error

    def up(self, i: ArrayLike, j: ArrayLike, round_number: ArrayLike, step: ArrayLike) -> Mask:
        """Return what the function says of the links' two ends in ascending order."""
        arguments = (*ends(i, j), np.asarray(round_number), np.asarray(step))
        shape = np.broadcast_shapes(*map(np.shape, arguments))
        found = np.asarray(self.function(*arguments))
        if found.dtype != np.bool_ or np.broadcast_shapes(found.shape, shape) != shape:
            said = f"{found.dtype} of shape {found.shape}"
            rule = f"must return truths that broadcast to shape {shape}, but returned {said}"
            raise ConfigError("links", self.function, rule)
        return np.array(np.broadcast_to(found, shape))
