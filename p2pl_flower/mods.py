"""Flower's mods that need a server which aggregates: devices with one cannot train with P2PL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

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
