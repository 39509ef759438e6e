"""The color of each contender, in every plot."""

from __future__ import annotations

import zlib

_COLORS = {
    "p2pl": "#0072B2",
    "p2pl-affinity": "#D55E00",
    "dsgd": "#CC79A7",
    "fedavg": "#009E73",
    "centralized": "#333333",
    "local": "#E69F00",
}
_OTHER_COLORS = ("#56B4E9", "#8C564B", "#7F7F00", "#9467BD", "#B03A5B", "#3E7C6B")


def color(contender: str) -> str:
    """Return the color that a contender has in every plot."""
    spare = _OTHER_COLORS[zlib.crc32(contender.encode()) % len(_OTHER_COLORS)]
    return _COLORS.get(contender.partition(":")[0], spare)
