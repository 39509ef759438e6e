"""P2PL with Affinity: local training is pulled towards the neighbors' last average."""

from __future__ import annotations

from .base import PeerToPeer


class P2PLAffinity(PeerToPeer):
    """The variant of arXiv 2312.13602, with the strength that the task's options name."""

    name = "p2pl_affinity"
