"""Decentralized SGD without synchronization: what P2PL is without its first step."""

from __future__ import annotations

from .base import PeerToPeer


class DecentralizedSGD(PeerToPeer):
    """Every device keeps the initial model that it has drawn, then trains and mixes."""

    name = "dsgd"

    def __init__(self) -> None:
        super().__init__({"algorithm": "dsgd", "init": "independent"})
