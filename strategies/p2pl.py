"""P2PL: max norm synchronization, local training, consensus with neighbors."""

from __future__ import annotations

from .base import PeerToPeer


class P2PL(PeerToPeer):
    """The algorithm of arXiv 2310.18861."""

    name = "p2pl"

    def __init__(self) -> None:
        super().__init__({"affinity": 0.0})
