"""P2PL: max norm synchronization, local training, consensus with neighbors."""

from __future__ import annotations

from .base import PeerToPeer


class P2PL(PeerToPeer):
    """The scenario's algorithm: that of arXiv 2310.18861, unless it says otherwise."""

    name = "p2pl"
