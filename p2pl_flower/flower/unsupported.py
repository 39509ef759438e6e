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
NO_CENTRAL = "there are no models on the server to evaluate; leave it out with this relay"
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
    return next((name for mod in mods if (name := _name_of_flowers(_innermost(mod)))), "")


def refused_in(error: BaseException) -> str:
    """Return the name of the refused mod in which an error was raised, wherever it was called."""
    trace = error.__traceback__
    while trace is not None:
        code, module = trace.tb_frame.f_code, trace.tb_frame.f_globals.get("__name__", "")
        if code.co_name in REFUSED_MODS and str(module).startswith("flwr."):
            return code.co_name
        trace = trace.tb_next
    return ""


def refused_by(reason: str) -> str:
    """Return the name of the refused mod that has answered so."""
    return next((name for name in REFUSED_MODS if name in reason), "")


def _name_of_flowers(mod: Any) -> str:
    name = str(getattr(mod, "__name__", ""))
    flowers = str(getattr(mod, "__module__", "")).startswith("flwr.")
    return name if flowers and name in REFUSED_MODS else ""


def _innermost(mod: Any) -> Any:
    """Return the function in ``functools.partial`` and ``functools.wraps``."""
    while inner := getattr(mod, "func", None) or getattr(mod, "__wrapped__", None):
        mod = inner
    return mod
