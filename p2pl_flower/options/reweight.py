"""Weights that are no function of the links that are up cannot be worked out anew from them."""

from __future__ import annotations

from ..errors import WeightsError
from ..weights import REWEIGHT, Custom, WeightRule


def check_reweight(rule: WeightRule, on_missing: str) -> None:
    """Refuse to work out anew what a matrix of the user's own says.

    Raises
    ------
    WeightsError
        The weights are a matrix, and ``on_missing`` is ``reweight``.
    """
    if on_missing == REWEIGHT and isinstance(rule, Custom):
        advice = "take a rule, 'metropolis' say, or on_missing='self'"
        rule_text = f"needs weights that follow from the links that are up, not a matrix; {advice}"
        raise WeightsError("on_missing", on_missing, rule_text)
