"""Mixing rules that an algorithm cannot be combined with are refused."""

from __future__ import annotations

from ..algorithms import ALGORITHMS, Algorithm
from ..algorithms.mixing import MIXINGS, MixingRule
from ..config import described_text
from ..errors import ConfigError


def check_mixing(algorithm: Algorithm, rule: MixingRule) -> None:
    """Refuse a rule in the place of a weighted sum that an algorithm rests on.

    Raises
    ------
    ConfigError
        The algorithm combines messages in its own way, or keeps sums that only weights (for
        some, symmetric ones) keep right.
    """
    if rule.is_weighted_sum:
        return
    name = described_text(algorithm, ALGORITHMS)
    if not algorithm.is_weighted_sum:
        why = "combines messages in its own way"
    elif algorithm.symmetric_weights:
        why = "sums up over rounds what symmetric weights cancel"
    elif algorithm.column_weights or algorithm.knows_place:
        why = "reads off its messages what a weighted sum alone leaves in them"
    else:
        return
    rule_text = f"cannot be used with algorithm={name!r}, which {why}; take mixing='weighted'"
    raise ConfigError("mixing", described_text(rule, MIXINGS), rule_text)
