"""What went wrong in a run that came to its end all the same, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def problems(device: int, setup: Mapping[str, Any]) -> list[str]:
    """Return what a history's setup says against a device's model.

    ``models`` counts the neighbors' models that rounds asked for and that arrived;
    ``not_finite_since`` is the first round whose model held a NaN or an infinity.
    """
    found = []
    models = setup.get("models", {})
    if models.get("asked") and not models.get("arrived"):
        found.append(
            f"device {device} trained alone: no neighbor's model arrived in any round, of "
            f"{models['asked']} asked for; compare addresses, certificates and settings with the "
            "neighbors', and see `answers` in the history"
        )
    if "not_finite_since" in setup:
        found.append(
            f"device {device}'s model holds a NaN or an infinity since round "
            f"{setup['not_finite_since']}: its neighbors refuse it; begin anew, with smaller "
            "steps of training, say"
        )
    return found
