"""A consensus step that devices have still to make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import messages


@dataclass(frozen=True)
class Due:
    """A consensus step.

    Attributes
    ----------
    round_number, step : int
        Which one.
    devices : frozenset[int]
        Those that make it.
    without : tuple[int, ...]
        Those that have sat out the round: nobody asks for what they have published.
    """

    round_number: int
    step: int
    devices: frozenset[int]
    without: tuple[int, ...]

    def order(self) -> dict[str, Any]:
        """Return what devices are told of it."""
        order = {messages.MIX_ROUND: self.round_number, messages.MIX_STEP: self.step}
        return {**order, messages.MIX_WITHOUT: list(self.without)} if self.without else order
