"""Column-stochastic weights keep sums: whoever does not work with sums is refused on them."""

from __future__ import annotations

from ..algorithms import ALGORITHMS, Algorithm
from ..algorithms.mixing import MIXINGS, MixingRule
from ..config import described_text
from ..errors import ConfigError, WeightsError
from ..weights import WEIGHTS, WeightRule


def check_columns(
    algorithm: Algorithm, rule: WeightRule, on_missing: str, mixing: MixingRule
) -> None:
    """Refuse what column-stochastic weights cannot be used with.

    Raises
    ------
    ConfigError
        The algorithm would take sums for means, lost messages would go elsewhere than to their
        senders, or messages are mixed by another rule.
    """
    if not rule.column_stochastic:
        return
    name = described_text(rule, WEIGHTS)
    if not algorithm.column_weights:
        text = described_text(algorithm, ALGORITHMS)
        rule_text = f"has rows that do not sum to 1, which algorithm={text!r} takes for means; "
        raise WeightsError("weights", name, rule_text + "take algorithm='push-sum'")
    if on_missing != "self":
        rule_text = f"loses what weights={name!r} must keep: what did not arrive stays with its "
        raise WeightsError("on_missing", on_missing, rule_text + "sender; take on_missing='self'")
    if not mixing.is_weighted_sum:
        rule_text = f"keeps no sums, as weights={name!r} must; take mixing='weighted'"
        raise ConfigError("mixing", described_text(mixing, MIXINGS), rule_text)
