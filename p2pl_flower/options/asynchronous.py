"""What needs rounds is refused where devices do not wait for each other."""

from __future__ import annotations

from ..algorithms.mixing import Weighted
from ..errors import ConfigError
from .algorithm import Options


def check_asynchronous(options: Options) -> None:
    """Refuse what cannot be combined with ``mode="async"``.

    Raises
    ------
    ConfigError
        Names the option, and what to take instead.
    """
    if options.mode == "sync":
        return
    if not (options.algorithm.is_plain and options.algorithm.is_weighted_sum):
        rule = "trains and averages, no more: take algorithm='p2pl' or 'dsgd', or mode='sync'"
        raise ConfigError("mode", "async", rule)
    for name, suits in (
        ("codec", options.coder.is_exact),
        ("privacy", not options.privacy.is_private),
        ("mixing", isinstance(options.mixing, Weighted)),
        ("weights", not options.weights.column_stochastic),
    ):
        if not suits:
            rule = f"cannot be combined with this {name}: leave it out, or take mode='sync'"
            raise ConfigError("mode", "async", rule)
