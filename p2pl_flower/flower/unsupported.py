"""What needs a server that aggregates, and why it cannot be trained with P2PL.

Strategy, devices and doctor say it in the same words. Nothing is imported from flwr: the doctor
looks at projects whatever version is installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

TREES = "trees (XGBoost) cannot be averaged: train them with a strategy that aggregates"
WRAPPER = (
    "strategies around others, those for differential privacy among them, clip and noise what a "
    "server aggregates, and here no server does; leave the wrapper out, and use LocalDpMod on the "
    "devices for noise in what neighbors receive"
)
WRAPPERS = ("DifferentialPrivacy", "DPFedAvg")
"""How the names of flwr's wrappers begin."""

LEGACY_ARGUMENTS = frozenset(
    {
        "initial_parameters",
        "evaluate_fn",
        "on_fit_config_fn",
        "on_evaluate_config_fn",
        "fit_metrics_aggregation_fn",
        "evaluate_metrics_aggregation_fn",
    }
)
"""What is taken from the strategy that a ``server_fn`` returns."""

LEGACY_UNCALLED = (
    "configure_fit",
    "aggregate_fit",
    "configure_evaluate",
    "aggregate_evaluate",
)
"""What such a strategy may define, and P2PL does not call."""

_SECURE = (
    "secure aggregation masks what only the sum over all clients unmasks, and here no server "
    "sums; leave the mod out: with P2PL no server sees a model, only neighbors do"
)
_CLIPPING = (
    "it is one half of differential privacy, of which the other half is a strategy that adds "
    "noise on a server; use LocalDpMod, which clips and adds noise on the device"
)

REFUSED_MODS: Mapping[str, str] = {
    "secagg_mod": _SECURE,
    "secaggplus_mod": _SECURE,
    "fixedclipping_mod": _CLIPPING,
    "adaptiveclipping_mod": _CLIPPING,
}
"""Why each is refused, by the name of the function in flwr."""


def refused_mod(mods: Iterable[Any]) -> str:
    """Return the name of the first mod that is refused; the empty text if there is none."""
    flowers = (m for m in mods if str(getattr(m, "__module__", "")).startswith("flwr."))
    names = (getattr(m, "__name__", "") for m in flowers)
    return next((name for name in names if name in REFUSED_MODS), "")
